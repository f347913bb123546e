"""Parse the URL of a Qdrant server."""

import re
from urllib.parse import urlsplit

from storage.service_urls import check_address, host_and_port, is_ipv6

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
        raise ValueError("it must begin with http:// or https://, as in http://HOST:6333")
    check_address(text, ("http", "https"))
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ValueError("remove the user and password: the key belongs in QDRANT_API_KEY")
    if "?" in text or "#" in text:
        raise ValueError("it may have a path, but no query or fragment: remove ? and #")
    host = parts.hostname or ""
    if not re.fullmatch(r"[\w.-]+", host, re.ASCII) and not is_ipv6(host):
        raise ValueError("its host is neither a host name nor an IP address")
    if not re.fullmatch(r"[!-~]*", parts.path):
        raise ValueError("its path may contain only ASCII characters, and no blank")
    address = host_and_port(f"{parts.scheme}://{parts.netloc}" + ("" if parts.port else ":6333"))
    return f"{parts.scheme}://{address}{parts.path.rstrip('/')}"
