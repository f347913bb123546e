"""Corpora: created, listed, deleted, and opened to readers."""
