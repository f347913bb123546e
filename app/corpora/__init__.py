"""The service that creates, lists and deletes corpora, and controls who may read them."""
