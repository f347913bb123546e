"""Find the passages for a question: search, filters, deduplication and relevance."""
