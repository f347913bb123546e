"""Find addresses in a text that a Markdown renderer would turn into links."""

import re
from functools import cache, lru_cache
from html import unescape
from typing import Any, cast

from linkify_it import LinkifyIt

_SCHEME = re.compile(r"(?:https?|ftp|file)://|www\.|(?:mailto|xmpp):", re.IGNORECASE)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]")
"""Matches only at the start of a run of characters, so that a long run is scanned once."""
_HINT = re.compile(r"[@:/&]|\.\S|www\.", re.IGNORECASE)
"""Every address contains one of these."""
_TRAILING = ".,;:!?*_~\"')"
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_BREAK = re.compile(r"\\[!-/:-@\[-`{-~]|&#?\w+;|[*_~|<>\[\]`$&]+")
"""Where some renderers split text before they search for addresses."""
_PIECE = re.compile(r"[^*_~|<>\[\]`$&]+")


def may_hold_address(word: str) -> bool:
    """Return whether a word may hold an address; a fast check that rules out most words."""
    return _HINT.search(word) is not None


@lru_cache(maxsize=4096)
def find_address(word: str) -> tuple[int, int] | None:
    """Return the start and end of what GFM, linkify-it, mistune or marked would turn into a link in a word.

    The word may contain escapes and entities, because some renderers search the decoded text. If it does,
    the address is taken to begin at the start of the word.
    """
    unescaped = unescape(_ESCAPE.sub(r"\1", word))
    starts = [
        start for text in (unescaped, *_BREAK.split(word)) if (start := _first(text)) is not None
    ]
    if not starts:
        return None
    start = 0
    if unescaped == word:
        pieces = [(0, word), *((piece.start(), piece[0]) for piece in _PIECE.finditer(word))]
        start = min(at + first for at, text in pieces if (first := _first(text)) is not None)
    return start, max(len(word.rstrip(_TRAILING)), start + 1)


def _first(text: str) -> int | None:
    """Return where the first address begins; the text cut off before an address may be one itself."""
    starts = [found.start() for found in (_SCHEME.search(text), _EMAIL.search(text)) if found]
    matches = cast("list[Any]", _linkify().match(text) or [])
    starts += [match.index for match in matches]
    start = min(starts, default=None)
    earlier = _first(text[:start]) if start else None
    return start if earlier is None else earlier


@cache
def _linkify() -> LinkifyIt:
    return LinkifyIt()
