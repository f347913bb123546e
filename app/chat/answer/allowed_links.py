"""Decide which links an answer may contain: only links to what it cites."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from storage.domain import Passage

_LINK = re.compile(r"https?://", re.IGNORECASE)


class AllowedLinks:
    """The link targets that the passages of a prompt allow: their pages and the addresses in their text."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._pages = [_url_variants(passage.url) for passage in passages]
        self._texts = [passage.text for passage in passages]

    def passages_allowing(self, address: str) -> frozenset[int]:
        """Return the numbers (from 1) of the passages that allow a link to the address.

        At least one of them must be cited for the address to become a link.
        """
        page, pattern = address.partition("#")[0], _compile_address_pattern(address)
        return frozenset(
            number
            for number, (pages, text) in enumerate(zip(self._pages, self._texts, strict=True), 1)
            if page in pages or (address in text and pattern.search(text))
        )

    def passages_allowing_link(self, address: str) -> frozenset[int]:
        """Return the numbers for the target of a labelled link: an http(s) address or a passage's page."""
        allowing = self.passages_allowing(address)
        if _LINK.match(address):
            return allowing
        page = address.partition("#")[0]
        return frozenset(number for number in allowing if page in self._pages[number - 1])


def _compile_address_pattern(address: str) -> re.Pattern[str]:
    """Compile a pattern that finds exactly this address, not as part of a longer one."""
    return re.compile(rf"(?<![\w@/:.-]){re.escape(address)}(?![\w@/:%#?&=~+-]|\.\w)")


def _url_variants(url: str) -> frozenset[str]:
    """Return a page's address with and without a trailing slash; empty for a relative address."""
    page = url.partition("#")[0]
    if not urlsplit(page).scheme:
        return frozenset()
    return frozenset((page, page.rstrip("/"), f"{page.rstrip('/')}/"))
