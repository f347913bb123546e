"""Read, search and export stored conversations, without what the reader may not see."""
