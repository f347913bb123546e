"""Addresses of services, as they may be shown."""

import re

_SHOWN = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^/?#]*@)?([^/?#@\s]*[^?#@\s]*)", re.IGNORECASE)
HIDDEN = "(hidden)"


def without_secrets(address: str) -> str:
    """Without user, password and query; hidden altogether when it cannot be told where these end."""
    plain, _, query = address.partition("?")
    found = _SHOWN.fullmatch(plain.partition("#")[0])
    if found is None or "@" in query or not _is_place(found[2]):
        return HIDDEN
    return found[1] + found[2]


def _is_place(rest: str) -> bool:
    """Whether it begins with a host, and a port if there is one: else a password may stand there."""
    return (
        re.match(r"(?:\[[0-9a-f:.]+\]|[^/:\[\]]*)(?::\d{1,5})?(?:/|\Z)", rest, re.IGNORECASE)
        is not None
    )
