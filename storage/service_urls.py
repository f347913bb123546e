"""Check the URLs of services that an operator configures, and show them without their secrets."""

import os
import re
from collections.abc import Collection
from ipaddress import IPv6Address
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379}
HIDDEN = "(hidden)"
INVALID_ADDRESS = (
    "it is not an address such as SCHEME://HOST:PORT/PATH; in a user or password, percent-encode "
    "every character that is not a letter or a digit"
)
_PARTS = re.compile(
    r"([a-z][a-z0-9+.-]*://)(?:[^/?#\s]*@)?"
    r"((?:\[[0-9a-f:.]+\]|[^/?#:@\[\]\s]*)(?::\d{1,5})?(?:/[^?#@\s]*)?)(?:[?#][^@]*)?",
    re.IGNORECASE,
)
"""Scheme, user and password, host and path, query and fragment. Any other `@` may belong to a password."""


def without_secrets(address: str) -> str:
    """Return the address without user, password and query; `HIDDEN` if it cannot be parsed."""
    found = _PARTS.fullmatch(address)
    return found[1] + found[2] if found else HIDDEN


def host_and_port(address: str) -> str:
    """Return host and port of a checked address, for error messages."""
    parts = urlsplit(address)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or _PORTS.get(parts.scheme, '')}".rstrip(":")


def system_reason(error: OSError) -> str:
    """Return the system's reason for a failed connection, without the address that the error may contain."""
    number = error.errno
    if number is None and (found := re.search(r"\[Errno (\d+)\]", str(error))):
        number = int(found[1])  # several addresses of one host failed
    if number is None or number < 0:
        return error.strerror or "it does not answer"
    return os.strerror(number)


def check_address(
    address: str, schemes: Collection[str] | None = None, *, has_key: bool = False
) -> None:
    """Raise `ValueError` if the address is invalid or has another scheme.

    The error never repeats the address. With `has_key`, a key is sent in a header, so the
    address may contain no user and password.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:  # an invalid port, or an unclosed bracket
        raise ValueError(INVALID_ADDRESS) from None
    if not _PARTS.fullmatch(address) or port == 0:
        raise ValueError(INVALID_ADDRESS)
    if schemes and parts.scheme not in schemes:
        raise ValueError(f"it must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if schemes and not parts.hostname:  # a database may be reached through a socket
        raise ValueError(INVALID_ADDRESS)
    if has_key and "@" in parts.netloc:
        raise ValueError("remove the user and password: the key has its own setting")


def is_ipv6(host: str) -> bool:
    """Return whether the host is an IPv6 address, written without brackets."""
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True
