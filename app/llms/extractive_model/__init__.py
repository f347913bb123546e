"""The model that answers in sentences of the sources, without a network."""
