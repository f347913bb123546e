"""Stored conversations: read, searched, exported, with what a reader may not see left out."""
