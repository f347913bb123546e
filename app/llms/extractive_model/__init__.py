"""A model that answers with sentences quoted from the sources, without a network."""
