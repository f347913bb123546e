"""An answer as it is written: markers, citations, links, and text that is safe to show."""
