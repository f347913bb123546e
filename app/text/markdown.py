"""Write titles, headings, quotes and addresses of documents as Markdown: escaped text and safe links."""

import re
from urllib.parse import quote, urlsplit

from app.text.autolinks import find_address
from app.text.visible import to_one_line

_MARKUP = re.compile(r"[\\`*_\[\]<>|~&$]|!(?=\[)")
"""Characters that Markdown could read as markup within a line."""
_LINE_START = re.compile(r"^(\d{0,9})([#+=:.)-])")
"""Characters at the beginning of a line that could start a heading, a list or another block."""
_SCHEMES = ("http", "https", "file")
_UNSAFE_IN_LINK = re.compile(r"[\s<>\"'`\\()\[\]{}|^\x00-\x1f\x7f]")


def escape_markdown(text: str) -> str:
    """Return Markdown that every renderer shows as this text: on one line, with no link, image or tag."""
    return _LINE_START.sub(r"\1\\\2", " ".join(map(_escape_word, to_one_line(text).split(" "))))


def markdown_link(label: str, url: str) -> str:
    """Return a Markdown link with a plain text label; only the label if the address cannot be linked."""
    address = safe_address(url)
    return f"[{escape_markdown(label)}]({address})" if address else escape_markdown(label)


def safe_address(url: str) -> str:
    """Return a web or file address, with characters that could end a link percent-encoded; else empty."""
    address = "".join(to_one_line(url).split())
    try:
        scheme = urlsplit(address).scheme
    except ValueError:
        return ""
    return (
        _UNSAFE_IN_LINK.sub(lambda found: quote(found[0], safe=""), address)
        if scheme in _SCHEMES
        else ""
    )


def _escape_word(word: str) -> str:
    """Escape a word; an address in it, which a renderer would turn into a link, becomes inline code."""
    start, end = find_address(word) or (len(word), len(word))
    code = _UNSAFE_IN_LINK.sub(lambda found: quote(found[0], safe=""), word[start:end]).replace(
        "~", ""
    )
    as_code = f"`{code}`" if code else ""
    return f"{_MARKUP.sub(_escape, word[:start])}{as_code}{_MARKUP.sub(_escape, word[end:])}"


def _escape(found: re.Match[str]) -> str:
    """Escape with a backslash; `<` becomes an entity, because some renderers do not accept `\\<`."""
    return "&lt;" if found[0] == "<" else f"\\{found[0]}"
