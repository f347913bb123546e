"""Titles, headings, quotes and addresses of documents as Markdown: text stays text, links are safe."""

import re
from urllib.parse import quote, urlsplit

from app.text.addresses import find_address
from app.text.visible import one_line

_ACTIVE = re.compile(r"[\\`*_\[\]<>|~&$]|!(?=\[)")
"""What Markdown could take for markup in a line."""
_LINE_START = re.compile(r"^(\d{0,9})([#+=:.)-])")
"""What a heading, a list or a line of its own could begin with."""
_SCHEMES = ("http", "https", "file")
_ENDS_ADDRESS = re.compile(r"[\s<>\"'`\\()\[\]{}|^\x00-\x1f\x7f]")


def plain(text: str) -> str:
    """Markdown that every renderer shows as this text: on one line, with no link, image or tag."""
    return _LINE_START.sub(r"\1\\\2", " ".join(map(_word, one_line(text).split(" "))))


def markdown_link(label: str, url: str) -> str:
    """A Markdown link whose label is plain text; only the label when the address cannot be linked."""
    address = safe_address(url)
    return f"[{plain(label)}]({address})" if address else plain(label)


def safe_address(url: str) -> str:
    """An address of a page without a character that could end it; empty for any other kind."""
    address = "".join(one_line(url).split())
    try:
        scheme = urlsplit(address).scheme
    except ValueError:
        return ""
    return (
        _ENDS_ADDRESS.sub(lambda found: quote(found[0], safe=""), address)
        if scheme in _SCHEMES
        else ""
    )


def _word(word: str) -> str:
    """A word as text; an address in it, which a renderer would make a link of, as code."""
    start, end = find_address(word) or (len(word), len(word))
    code = _ENDS_ADDRESS.sub(lambda found: quote(found[0], safe=""), word[start:end]).replace(
        "~", ""
    )
    shown = f"`{code}`" if code else ""
    return f"{_ACTIVE.sub(_escaped, word[:start])}{shown}{_ACTIVE.sub(_escaped, word[end:])}"


def _escaped(found: re.Match[str]) -> str:
    """A backslash before it; `<` as an entity, since not every renderer lets it be escaped."""
    return "&lt;" if found[0] == "<" else f"\\{found[0]}"
