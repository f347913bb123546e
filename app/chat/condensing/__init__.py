"""A follow-up question made complete, by its words or by a language model."""
