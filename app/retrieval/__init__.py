"""From a question to passages: search, filters, deduplication and relevance."""
