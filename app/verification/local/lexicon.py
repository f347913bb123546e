"""English words that reverse a sentence's meaning: negators, directions, opposites, quantifiers.

Claims in other languages are judged only by their words, numbers and names.
"""

from collections.abc import Mapping
from types import MappingProxyType

from storage.word_lists import word_lists

_LISTS = word_lists(__file__)


def _axes() -> dict[str, tuple[tuple[str, int], ...]]:
    axes: dict[str, list[tuple[str, int]]] = {}
    for sign, words in ((1, _LISTS["up"]), (-1, _LISTS["down"])):
        for word in words:
            axes.setdefault(word, []).append(("direction", sign))
    for one, other in (*_LISTS["opposites"], *_LISTS["quantifiers"]):
        axes.setdefault(one, []).append((f"{one}/{other}", 1))
        axes.setdefault(other, []).append((f"{one}/{other}", -1))
    return {word: tuple(found) for word, found in axes.items()}


AXES = MappingProxyType(_axes())
"""For each word its axes and its sign on each: `(axis, 1)` contradicts `(axis, -1)`."""

NEGATORS = frozenset[str](_LISTS["negators"])
NUMBERS: Mapping[str, float] = MappingProxyType(_LISTS["numbers"])
MULTIPLIERS: Mapping[str, float] = MappingProxyType(_LISTS["multipliers"])
