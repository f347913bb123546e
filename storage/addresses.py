"""Addresses of services that an operator sets: checked, and shown without their secrets."""

import os
import re
from collections.abc import Collection
from ipaddress import IPv6Address
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379}
IN_MEMORY = ":memory:"
"""In place of a URL of Qdrant: the client's own stand-in for a server, for experiments and tests."""
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


def place(address: str) -> str:
    """Host and port of an address that was checked, as errors name it."""
    parts = urlsplit(address)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or _PORTS.get(parts.scheme, '')}".rstrip(":")


def failure(error: OSError) -> str:
    """Why a connection failed, in the system's words, without the address that may be in its text."""
    number = error.errno
    if number is None and (found := re.search(r"\[Errno (\d+)\]", str(error))):
        number = int(found[1])  # of several addresses of one name
    if number is None or number < 0:
        return error.strerror or "it does not answer"
    return os.strerror(number)


def said_by_postgres(told: str) -> str:
    """What a server or its client says, on one line, without the name of who was refused."""
    line = " ".join(re.sub(r"Is the server running .*?\?", "", told, flags=re.DOTALL).split())
    return re.sub(r"\b(user|role)(?: name)?:? (?:\"[^\"]*\"|[^\s,\"]+$)", r"\1", line).rstrip(".")


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


def parse_qdrant_url(text: str) -> str:
    """With the port that Qdrant's clients use when none is named, and no slash at its end.

    Raises `ValueError`, which never repeats the address.
    """
    if text == IN_MEMORY:
        return text
    if text.lower().startswith(("grpc://", "grpcs://")):
        raise ValueError("Ibid speaks to Qdrant over HTTP: write http://HOST:6333")
    if "://" not in text:
        raise ValueError("it begins with http:// or https://, as in http://HOST:6333")
    check_address(text, ("http", "https"))
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ValueError("put no user or password into it: the key goes into QDRANT_API_KEY")
    if "?" in text or "#" in text:
        raise ValueError("it may have a path, and nothing after it: leave out ? and #")
    host = parts.hostname or ""
    if not re.fullmatch(r"[\w.-]+", host, re.ASCII) and not is_ipv6(host):
        raise ValueError("its host is no name and no IP address")
    if not re.fullmatch(r"[!-~]*", parts.path):
        raise ValueError("its path may hold no blank and no letter with an accent")
    address = place(f"{parts.scheme}://{parts.netloc}" + ("" if parts.port else ":6333"))
    return f"{parts.scheme}://{address}{parts.path.rstrip('/')}"


def is_ipv6(host: str) -> bool:
    """Whether it is one as it is written, without brackets."""
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True
