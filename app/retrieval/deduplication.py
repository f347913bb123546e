"""Passages that say word for word what a better one says: another version's page, a shared paragraph.

Only the very same text counts. Texts that differ in a few words differ in what matters, such as a
number or a command: over four sites' docs nearly all that were alike were the same to the letter.
"""

from collections.abc import Sequence

from storage.domain import Passage

_STANDS_ALONE = 225
"""Characters, a quarter of a full passage: what a shorter text says depends on its headings."""


def distinct(passages: Sequence[Passage]) -> int:
    """How many are left without those that repeat another."""
    return len({_said(passage) for passage in passages})


def without_repeats(passages: Sequence[Passage], limit: int) -> list[Passage]:
    """The best `limit` in their order; repeats are among them only where nothing else is left."""
    said: set[object] = set()
    first: list[int] = []
    repeats: list[int] = []
    for number, passage in enumerate(passages):
        saying = _said(passage)
        (repeats if saying in said else first).append(number)
        said.add(saying)
    return [passages[number] for number in sorted([*first, *repeats][:limit])]


def _said(passage: Passage) -> object:
    alone = len(passage.text) >= _STANDS_ALONE
    return passage.text if alone else (passage.section, passage.text)
