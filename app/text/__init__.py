"""Make text of documents and models safe: remove invisible characters, find addresses, escape Markdown."""
