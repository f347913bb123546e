"""Which names the server answers to: what keeps another site's page from talking to it."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from litestar import Request

from storage.errors import InvalidInput


def answer_to(names: Iterable[str]) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """A hook that raises `InvalidInput` for a request sent to another name; ports are free.

    Without sign-in, a name that another site makes point at this machine must not be answered.
    """
    known = {_hostname(name) for name in names}

    async def check(request: Request[Any, Any, Any]) -> None:
        host = request.headers.get("host", "")
        if _hostname(host) not in known:
            raise InvalidInput(f"The server does not answer to {host!r}; see ALLOWED_HOSTS.")

    return check


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # brackets that do not close
        return None
