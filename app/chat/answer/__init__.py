"""Build an answer from the model's stream: markers, citations, links, and text that is safe to show."""
