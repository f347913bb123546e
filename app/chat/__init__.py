"""One turn of a conversation: condense the question, retrieve, generate, cite and store."""
