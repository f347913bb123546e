"""What an ASGI server is pointed at: `granian --interface asgi --factory app.asgi:create_app`."""

import logging

from litestar import Litestar

from app.api import create_app as _create_app
from app.settings import Settings


def create_app() -> Litestar:
    """Configured by the environment; logs a line a turn and a run to standard error."""
    settings = Settings()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    log = logging.getLogger("ibid")
    log.handlers, log.propagate = [handler], False
    log.setLevel(settings.log_level.upper())
    return _create_app(settings)
