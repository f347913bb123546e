"""BM25 as sparse vectors."""
