"""Whom the server answers: what keeps another site's page from talking to it."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from litestar import Request

from storage.errors import InvalidInput


def answer_to(
    names: Iterable[str] | None,
) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """A hook that raises `InvalidInput` for a request to another name, or from another site.

    Without sign-in, a name that another site makes point at this machine must not be answered, nor
    a form that its page sends here. With None any name will do; ports are free.
    """
    known = None if names is None else {_hostname(name) for name in names}

    async def check(request: Request[Any, Any, Any]) -> None:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if known is not None and _hostname(host) not in known:
            raise InvalidInput(f"The server does not answer to {host!r}; see ALLOWED_HOSTS.")
        if origin is not None and origin.partition("://")[2] != host:
            raise InvalidInput(f"The server does not answer pages of {origin!r}.")

    return check


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # brackets that do not close
        return None
