"""Plain types that the domain's values use.

They have a module of their own, so that a process that only reads files does not load pydantic.
"""

from typing import Any

Metadata = dict[str, Any]
"""Metadata of a source, such as its front matter; JSON-compatible."""

Span = tuple[int, int]
"""Start and end, in characters."""
