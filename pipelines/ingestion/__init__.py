"""Ingestion: turns folders and uploads into passages in the index."""
