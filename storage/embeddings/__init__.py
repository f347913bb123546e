"""Local and hosted embeddings, as LlamaIndex embedding classes."""
