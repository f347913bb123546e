"""Qdrant inside a process of its own on this machine."""
