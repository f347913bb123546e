"""The HTML pages of the server."""

from functools import cache
from pathlib import Path

from jinja2 import Environment

from app.templates import open_templates


@cache
def page_templates() -> Environment:
    """Return the templates of the chat page and of the API's documentation."""
    return open_templates(Path(__file__).parent / "templates")
