"""Deduplicate passages with the same text, such as a page of another version or a shared paragraph.

Only identical text counts as a repeat. Texts that differ in a few words differ in what matters, such as a
number or a command. In the docs of four sites, nearly all similar passages were identical.
"""

from collections.abc import Sequence

from storage.domain import Passage

_MIN_STANDALONE_LENGTH = 225
"""Length in characters from which text is compared without its headings: a quarter of a full passage.

The meaning of a shorter text depends on its headings.
"""


def count_distinct(passages: Sequence[Passage]) -> int:
    """Return the number of passages without repeats."""
    return len({_comparison_key(passage) for passage in passages})


def deduplicate(passages: Sequence[Passage], limit: int) -> list[Passage]:
    """Return the best `limit` passages in their order; use repeats only if there are too few others."""
    seen: set[object] = set()
    first: list[int] = []
    repeats: list[int] = []
    for number, passage in enumerate(passages):
        key = _comparison_key(passage)
        (repeats if key in seen else first).append(number)
        seen.add(key)
    return [passages[number] for number in sorted([*first, *repeats][:limit])]


def _comparison_key(passage: Passage) -> object:
    alone = len(passage.text) >= _MIN_STANDALONE_LENGTH
    return passage.text if alone else (passage.section, passage.text)
