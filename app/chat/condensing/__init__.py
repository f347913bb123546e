"""Turn a follow-up question into a complete one, with word rules or with a language model."""
