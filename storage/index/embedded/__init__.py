"""Qdrant in a separate process on this machine."""
