"""Limits of requests per minute, counted in the process or in a store that processes share."""
