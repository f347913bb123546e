"""Embeddings, local and hosted, as LlamaIndex knows them."""
