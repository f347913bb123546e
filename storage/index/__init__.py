"""The vector store: passages over a seam with two real engines, embedded and server."""
