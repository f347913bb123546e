"""Detects whether a claim reverses what its evidence says: directions, opposites, negation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.verification.local.lexicon import AXES, NEGATORS
from app.verification.local.words import AnalyzedText

_REACH = 8
"""Tokens on either side of a word that tell what it is about."""
_SCOPE = 6
"""Tokens after a negator that it applies to."""
_SOFTENED = frozenset({"only", "just", "merely", "necessarily", "simply"})


class Side(NamedTuple):
    """A word with a polarity; `about` holds weights of the stems near it, higher for nearer ones."""

    axis: str
    sign: int
    about: dict[int, float]


@dataclass(frozen=True)
class Polarity:
    """The words with a polarity in a sentence, and the stems that it negates."""

    sides: list[Side]
    denials: list[frozenset[int]]
    """For each negator, the stems that it applies to."""
    stems: frozenset[int]

    @classmethod
    def of(cls, reading: AnalyzedText, tokens: range) -> "Polarity":
        """Analyze one sentence of a text."""
        negators = [i for i in tokens if _negates(reading, i)]
        return cls(
            sides=list(_sides(reading, tokens, negators)),
            denials=[_reached(reading, tokens, i) for i in negators],
            stems=frozenset(reading.stems[i] for i in tokens) - {0},
        )


def opposition(claim: Sequence[Polarity], evidence: Sequence[Polarity]) -> float:
    """Return the share of the claim's words with a polarity that the evidence contradicts, in [0, 1]."""
    sides = [side for sentence in claim for side in sentence.sides]
    said = [side for sentence in evidence for side in sentence.sides]
    against = 0.0
    for side in sides:
        same = max((_shared(side, other) for other in said if other[:2] == side[:2]), default=0.0)
        contrary = (side.axis, -side.sign)
        other = max((_shared(side, one) for one in said if one[:2] == contrary), default=0.0)
        against += max(0.0, other - same)
    return against / (len(sides) or 1)


def denial(claim: Sequence[Polarity], evidence: Sequence[Polarity]) -> float:
    """Return how certain it is that only one of claim and evidence negates the statement, in [0, 1]."""
    denied = [stems for sentence in claim for stems in sentence.denials]
    denying = [stems for sentence in evidence for stems in sentence.denials]
    if denied:
        return max(1.0 - min(1.0, 2.5 * _overlap(stems, denying)) for stems in denied)
    stems = frozenset[int]().union(*(sentence.stems for sentence in claim))
    reached = (len(scope & stems) / len(scope) for scope in denying if scope)
    return max((max(0.0, 2.0 * share - 1.0) for share in reached), default=0.0)


def _negates(reading: AnalyzedText, at: int) -> bool:
    word = reading.lowered[at]
    after = reading.lowered[at + 1] if at + 1 < len(reading.lowered) else ""
    return (word in NEGATORS or word.endswith(("n't", "n’t"))) and after not in _SOFTENED


def _sides(reading: AnalyzedText, tokens: range, negators: Sequence[int]) -> Iterator[Side]:
    for i in tokens:
        axes = AXES.get(reading.lowered[i], ())
        if not axes:
            continue
        denied = any(0 < i - negator <= _SCOPE - 2 for negator in negators)
        about = {
            reading.stems[j]: 1 / (1 + 0.15 * abs(i - j))
            for j in range(max(tokens.start, i - _REACH), min(tokens.stop, i + _REACH + 1))
            if reading.stems[j] and reading.lowered[j] not in AXES
        }
        for axis, sign in axes:
            yield Side(axis, -sign if denied and axis == "direction" else sign, about)


def _reached(reading: AnalyzedText, tokens: range, at: int) -> frozenset[int]:
    after = range(at + 1, min(tokens.stop, at + 1 + _SCOPE))
    return frozenset(reading.stems[i] for i in after) - {0}


def _shared(one: Side, other: Side) -> float:
    common = sum(min(w, other.about[stem]) for stem, w in one.about.items() if stem in other.about)
    return common / (sum(one.about.values()) or 1.0)


def _overlap(stems: frozenset[int], scopes: Sequence[frozenset[int]]) -> float:
    """Return the largest share of `stems` in a scope; 1 if there are no stems but some scope.

    Two negators that apply to no word do not contradict each other.
    """
    if not stems:
        return 1.0 if scopes else 0.0
    return max((len(stems & scope) / len(stems) for scope in scopes), default=0.0)
