"""Measures the quality of retrieval, answers and verification on questions and claims with known answers."""
