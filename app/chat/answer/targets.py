"""Which links of an answer a reader may get: those to what the answer cites."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from storage.domain import Passage

_LINK = re.compile(r"https?://", re.IGNORECASE)


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
