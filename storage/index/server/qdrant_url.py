"""Parse the URL of a Qdrant server."""

import re
from urllib.parse import urlsplit

from storage.service_urls import check_address, is_ipv6, place

IN_MEMORY = ":memory:"
"""Used instead of a Qdrant URL: the client's own in-memory server, for experiments and tests."""


def parse_qdrant_url(text: str) -> str:
    """Return the URL with Qdrant's default port if it has none, and without a slash at the end.

    Raises `ValueError`, whose message never repeats the address.
    """
    if text == IN_MEMORY:
        return text
    if text.lower().startswith(("grpc://", "grpcs://")):
        raise ValueError("only HTTP is supported; write http://HOST:6333")
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
