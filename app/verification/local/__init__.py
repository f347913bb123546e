"""A verifier that compares words, numbers and polarity, without a model."""
