"""Addresses of services that an operator sets: checked, and shown without their secrets."""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

HIDDEN = "(hidden)"
NO_ADDRESS = (
    "it is no address like SCHEME://HOST:PORT/PATH; in a user or password, percent-encode "
    "whatever is no letter or digit"
)
_SHOWN = re.compile(
    r"([a-z][a-z0-9+.-]*://)(?:[^/?#\s]*@)?"
    r"((?:\[[0-9a-f:.]+\]|[^/?#:@\[\]\s]*)(?::\d{1,5})?(?:/[^?#@\s]*)?)(?:[?#][^@]*)?",
    re.IGNORECASE,
)
"""Scheme, user and password, the place, and the rest. An `@` elsewhere may belong to a password."""


def without_secrets(address: str) -> str:
    """Without user, password and query; `HIDDEN` when it cannot be told where these end."""
    found = _SHOWN.fullmatch(address)
    return found[1] + found[2] if found else HIDDEN


def check_address(
    address: str, schemes: Collection[str] | None = None, *, keyed: bool = False
) -> None:
    """Raises `ValueError`, which never repeats the address, for what is none, or of no such scheme.

    With `keyed` a key is sent there in a header, beside which no user and password can be sent.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:  # its port is none, or a bracket does not close
        raise ValueError(NO_ADDRESS) from None
    if not _SHOWN.fullmatch(address) or port == 0:
        raise ValueError(NO_ADDRESS)
    if schemes and parts.scheme not in schemes:
        raise ValueError(f"it begins with {' or '.join(f'{one}://' for one in schemes)}")
    if schemes and not parts.hostname:  # a database may be reached by a socket
        raise ValueError(NO_ADDRESS)
    if keyed and "@" in parts.netloc:
        raise ValueError("put no user or password into it: the key has a setting of its own")
