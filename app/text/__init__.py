"""Make text of documents and models safe: invisible characters, addresses and Markdown."""
