"""Implementations of the providers in `app.provider_registry`, and the functions that build from settings."""
