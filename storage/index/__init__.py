"""The vector store: passages in one of two engines, embedded or server, behind one interface."""
