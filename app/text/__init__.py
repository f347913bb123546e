"""Text of documents and models made safe: visible characters, addresses, and Markdown that is text."""
