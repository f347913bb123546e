"""What an ASGI server is pointed at: `granian --interface asgi --factory app.asgi:create_app`."""

from litestar import Litestar

from app.api import create_app as _create_app
from app.lifeline import Lifeline
from app.logs import log_to_stderr
from app.settings import Settings


def create_app() -> Litestar:
    """Configured by the environment."""
    return load(None)


def load(lifeline: Lifeline | None) -> Litestar:
    """The same in a process of `ibid serve`, which ends with the lifeline."""
    if lifeline:
        lifeline.take()
    settings = Settings()
    log_to_stderr(settings.log_level)
    return _create_app(settings, lifeline)
