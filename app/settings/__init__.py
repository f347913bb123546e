"""The settings: their names, types and defaults, and what is checked about them."""

from app.settings.settings import Settings

__all__ = ["Settings"]
