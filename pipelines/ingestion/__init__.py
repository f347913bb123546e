"""From a folder or an upload to passages in the index."""
