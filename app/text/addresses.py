"""Addresses in a text: where a renderer of Markdown would make a link of plain words."""

import re
from functools import cache, lru_cache
from html import unescape
from typing import Any, cast

from linkify_it import LinkifyIt

_SCHEME = re.compile(r"(?:https?|ftp|file)://|www\.|(?:mailto|xmpp):", re.IGNORECASE)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]")
"""It is looked for at the start of a run only, so that a long one is read once."""
_HINT = re.compile(r"[@:/&]|\.\S|www\.", re.IGNORECASE)
"""No address is without one of these."""
_TRAILING = ".,;:!?*_~\"')"
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_BREAK = re.compile(r"\\[!-/:-@\[-`{-~]|&#?\w+;|[*_~|<>\[\]`$&]+")
"""What some renderers cut text at when they look for addresses."""
_PIECE = re.compile(r"[^*_~|<>\[\]`$&]+")


def may_hold_address(word: str) -> bool:
    """A quick look that most words end with."""
    return _HINT.search(word) is not None


@lru_cache(maxsize=4096)
def find_address(word: str) -> tuple[int, int] | None:
    """Start and end of what GFM, linkify-it, mistune or marked would link in a word.

    The word may hold escapes and entities, as some renderers look at the text that they stand for;
    an address with such in it begins where the word does.
    """
    shown = unescape(_ESCAPE.sub(r"\1", word))
    starts = [start for text in (shown, *_BREAK.split(word)) if (start := _first(text)) is not None]
    if not starts:
        return None
    start = 0
    if shown == word:
        pieces = [(0, word), *((piece.start(), piece[0]) for piece in _PIECE.finditer(word))]
        start = min(at + first for at, text in pieces if (first := _first(text)) is not None)
    return start, max(len(word.rstrip(_TRAILING)), start + 1)


def _first(text: str) -> int | None:
    """Where the first address begins; what is cut off before one may be an address by itself."""
    starts = [found.start() for found in (_SCHEME.search(text), _EMAIL.search(text)) if found]
    matches = cast("list[Any]", _linkify().match(text) or [])
    starts += [match.index for match in matches]
    start = min(starts, default=None)
    earlier = _first(text[:start]) if start else None
    return start if earlier is None else earlier


@cache
def _linkify() -> LinkifyIt:
    return LinkifyIt()
