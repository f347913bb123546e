"""The REST API on Litestar: one file for each resource."""

from app.api.application import create_app

__all__ = ["create_app"]
