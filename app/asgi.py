"""What an ASGI server is pointed at: `granian --interface asgi --factory app.asgi:create_app`."""

from litestar import Litestar

from app.api import create_app as _create_app
from app.logs import log_to_stderr
from app.settings import Settings
from storage.private import create_privately


def create_app() -> Litestar:
    """Configured by the environment."""
    create_privately()
    settings = Settings()
    log_to_stderr(settings.log_level)
    return _create_app(settings)
