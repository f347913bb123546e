"""Parsers for origins, the public URL and `Host` headers."""

import re
from urllib.parse import urlsplit

from storage.service_urls import without_secrets

_DEFAULT_PORTS = {"http": "80", "https": "443"}
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://((?:\*\.)?[\w.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?")
_RESERVED_PATHS = ("api", "assets", "health", "schema")


def parse_origin(text: str) -> str:
    """Normalize an origin as browsers send it; `*.` matches any subdomain. Raise `ValueError`."""
    found = _ORIGIN.fullmatch(text.strip().lower().removesuffix("/"))
    if not found:
        raise ValueError(
            f"{without_secrets(text)!r} is not an origin such as https://docs.example.com"
        )
    scheme, host, port = found.groups()
    return f"{scheme}://{host}" + (
        f":{port}" if port and port != _DEFAULT_PORTS.get(scheme) else ""
    )


def parse_public_url(text: str) -> str:
    """Return scheme, host and sub-path without a slash at the end. Raise `ValueError`."""
    parts = urlsplit(text)
    path = parts.path.rstrip("/")
    if parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise ValueError("it must have the form https://HOST or https://HOST/PATH")
    if not re.fullmatch(r"(/[\w.~-]+)*", path):
        raise ValueError("its path may contain only letters, digits and -._~")
    if path.split("/")[1:2] and path.split("/")[1] in _RESERVED_PATHS:
        raise ValueError(f"its path may not begin with one of {', '.join(_RESERVED_PATHS)}")
    if "*" in parts.netloc:
        raise ValueError("it must name one host")
    return parse_origin(f"{parts.scheme}://{parts.netloc}") + path


def is_same_site(origin: str, host: str) -> bool:
    """Return whether the origin has this `Host`. The scheme is ignored, as a proxy may terminate TLS."""
    scheme, _, place = origin.lower().partition("://")
    default = ":" + _DEFAULT_PORTS.get(scheme, "")
    return bool(place) and place.removesuffix(default) == host.lower().removesuffix(default)


def hostname(host: str) -> str | None:
    """Return the name in a `Host` header without its port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # unbalanced brackets
        return None
