"""Jinja templates of HTML pages. Values are escaped, and a template that uses an unknown name fails."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def open_templates(*folders: Path) -> Environment:
    """Return the templates of these folders. Of templates with the same name, the first folder's is used."""
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
