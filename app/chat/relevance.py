"""Whether the corpus speaks to a question at all: the floor under which Ibid declines."""

from collections.abc import Sequence

from storage.domain import Passage
from storage.index.sparse import terms

FLOOR = 1.0
"""What word coverage and cosine similarity of one passage must add up to; each is at most 1.

All of a question's words and no likeness of meaning will do, and so will half of the words and a
close likeness. Chosen between answerable and unanswerable questions over two public sets, where it
is right for about three of four near misses, and for nearly all questions from another field.
"""


def speaks_to(query: str, passages: Sequence[Passage], language: str) -> bool:
    """True when one of the passages reaches the floor."""
    wanted = terms(query, language)
    if not wanted:  # stop words alone: nothing to hold against a passage
        return bool(passages)
    return any(
        _coverage(wanted, passage, language) + (passage.similarity or 0.0) >= FLOOR
        for passage in passages
    )


def _coverage(wanted: frozenset[int], passage: Passage, language: str) -> float:
    """Share of the question's content words that stand in the passage or above it."""
    shown = "\n".join((passage.title, *passage.section, passage.text))
    return len(wanted & terms(shown, language)) / len(wanted)
