"""The entry point for ASGI servers: `granian --interface asgi --factory app.asgi:create_app`."""

from litestar import Litestar

from app.api import create_app as _create_app
from app.logs import configure_logging
from app.parent_process import ParentPipe
from app.settings import Settings
from storage.private import set_private_umask


def create_app() -> Litestar:
    """Create the application with settings from the environment."""
    return load(None)


def load(parent: ParentPipe | None) -> Litestar:
    """Create the application in a process of `ibid serve`, which stops when its parent does."""
    set_private_umask()
    if parent:
        parent.close()
    settings = Settings()
    configure_logging(settings)
    return _create_app(settings, parent)
