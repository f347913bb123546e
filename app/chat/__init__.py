"""One turn of a conversation: condense, retrieve, generate, cite, keep."""
