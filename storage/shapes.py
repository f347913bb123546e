"""Plain shapes that values are made of; apart, for a process that only reads files loads no pydantic."""

from typing import Any

Metadata = dict[str, Any]
"""What a source says about itself, JSON-safe."""

Span = tuple[int, int]
"""Where something starts and ends, in characters."""
