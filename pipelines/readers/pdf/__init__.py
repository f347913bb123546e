"""PDF: characters, columns and paragraphs."""
