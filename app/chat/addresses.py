"""Addresses in a model's text: where a renderer would make a link, and which links a reader may get."""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from html import unescape
from typing import Any, cast
from urllib.parse import urlsplit

from linkify_it import LinkifyIt

from storage.domain import Passage

_SCHEME = re.compile(r"(?:https?|ftp|file)://|www\.|(?:mailto|xmpp):", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]")
_HINT = re.compile(r"[@:/&]|\.\S|www\.", re.IGNORECASE)
"""No address is without one of these."""
_TRAILING = ".,;:!?*_~\"')"
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_BREAK = re.compile(r"\\[!-/:-@\[-`{-~]|&#?\w+;|[*_~]+")
"""What some renderers cut text at when they look for addresses."""
_PIECE = re.compile(r"[^*_~]+")
_LINK = re.compile(r"https?://", re.IGNORECASE)


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


class Targets:
    """Which passages of a prompt allow a link: those whose page it is, or whose text has its address."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._pages = [_pages(passage.url) for passage in passages]
        self._texts = [passage.text for passage in passages]

    def allowing(self, address: str) -> frozenset[int]:
        """Numbers of the passages, from 1, any of which must be cited for the address to be linked."""
        page, stands = address.partition("#")[0], _standing(address)
        return frozenset(
            number
            for number, (pages, text) in enumerate(zip(self._pages, self._texts, strict=True), 1)
            if page in pages or (address in text and stands.search(text))
        )

    def allowing_link(self, address: str) -> frozenset[int]:
        """The same for the target of a link with a label: a whole address, not a relative one."""
        allowing = self.allowing(address)
        if _LINK.match(address):
            return allowing
        page = address.partition("#")[0]
        return frozenset(number for number in allowing if page in self._pages[number - 1])


def _standing(address: str) -> re.Pattern[str]:
    """Finds an address to the letter, not within a longer one."""
    return re.compile(rf"(?<![\w@/:.-]){re.escape(address)}(?![\w@/:%#?&=~+-]|\.\w)")


def _pages(url: str) -> frozenset[str]:
    """A page's address, with and without the slash at its end."""
    page = url.partition("#")[0]
    if not urlsplit(page).scheme:
        return frozenset()
    return frozenset((page, page.rstrip("/"), f"{page.rstrip('/')}/"))
