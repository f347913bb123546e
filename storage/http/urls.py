"""Validation and normalisation of web addresses from users, so that they can be shown safely."""

import ipaddress
import re
import unicodedata
from urllib.parse import quote, urlsplit

import idna

_LONGEST = 2_000
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABELS = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_IPV6 = re.compile(r"\[[0-9a-f:.]+\](?::\d*)?", re.IGNORECASE)
_LONGEST_HOST = 253
_SAFE = "/~!$&*+,;=:@%?"
"""Characters not to encode. Brackets, quotes and blanks would end a link in Markdown or HTML."""
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_EXAMPLE = "it is not an address such as https://docs.example.com/guide"


def normalize_web_address(text: str) -> str:
    """Normalise an address to percent-encoded ASCII; raise `ValueError` with the reason.

    The host becomes lower-case Punycode, a default port is removed, and dot segments of the path are
    resolved as in browsers. An address with a user or a password is an error.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST:,} characters")
    if any(map(_is_invisible, text)) or "\\" in text:
        raise ValueError("it contains a character that is not allowed in an address")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # an invalid port, or an unclosed bracket
        raise ValueError(_EXAMPLE) from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("it must begin with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("it contains a user or a password")
    if "[" in parts.netloc and not _IPV6.fullmatch(parts.netloc):
        raise ValueError(_EXAMPLE)
    place = f"{parts.scheme}://{_normalize_host(parts.hostname or '')}"
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        place += f":{port}"
    query = f"?{_quote(parts.query)}" if parts.query else ""
    fragment = f"#{_quote(parts.fragment)}" if parts.fragment or text.endswith("#") else ""
    return f"{place}{_resolve_dots(_quote(parts.path))}{query}{fragment}"


def _is_invisible(character: str) -> bool:
    """Return whether it is a control, direction mark, zero-width, surrogate or line separator."""
    kind = unicodedata.category(character)
    return kind.startswith("C") or kind in ("Zl", "Zp")


def _normalize_host(name: str) -> str:
    try:
        if ":" in name:
            return f"[{ipaddress.IPv6Address(name)}]"
        plain = name if name.isascii() else idna.encode(name, uts46=True).decode()
    except ValueError:
        raise ValueError(_EXAMPLE) from None
    if not _LABELS.fullmatch(plain.lower()) or len(plain) > _LONGEST_HOST:
        raise ValueError(_EXAMPLE)
    return plain.lower()


def _quote(text: str) -> str:
    return quote(_LONE_PERCENT.sub("%25", text), safe=_SAFE)


def _resolve_dots(path: str) -> str:
    """Resolve `.` and `..` segments, also percent-encoded ones; never go above the root."""
    kept: list[str] = []
    dots = ""
    for segment in path.split("/")[1:]:
        dots = segment.lower().replace("%2e", ".")
        if dots == "..":
            kept = kept[:-1]
        elif dots != ".":
            kept.append(segment)
    if dots in (".", ".."):
        kept.append("")  # they mean a folder
    return "".join(f"/{segment}" for segment in kept)
