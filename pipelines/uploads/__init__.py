"""Files that are sent instead of being read where they lie."""
