"""Detects whether a claim reverses what its evidence says: directions, opposites, negation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.verification.local.lexicon import AXES, NEGATORS
from app.verification.local.words import AnalyzedText

_CONTEXT = 8
"""Tokens on either side of a word that show what it is about."""
_NEGATION_TOKENS = 6
"""Tokens after a negator that it applies to."""
_SOFTENERS = frozenset({"only", "just", "merely", "necessarily", "simply"})


class PolarWord(NamedTuple):
    """A word with a polarity; `about` holds weights of the stems near it, higher for nearer ones."""

    axis: str
    sign: int
    context: dict[int, float]


@dataclass(frozen=True)
class Polarity:
    """The words with a polarity in a sentence, and the stems that it negates."""

    words: list[PolarWord]
    negated: list[frozenset[int]]
    """For each negator, the stems that it applies to."""
    stems: frozenset[int]

    @classmethod
    def of_sentence(cls, text: AnalyzedText, tokens: range) -> "Polarity":
        """Analyze one sentence of a text."""
        negators = [i for i in tokens if _negates(text, i)]
        return cls(
            words=list(_polar_words(text, tokens, negators)),
            negated=[_scope(text, tokens, i) for i in negators],
            stems=frozenset(text.stems[i] for i in tokens) - {0},
        )


def opposition(claim: Sequence[Polarity], evidence: Sequence[Polarity]) -> float:
    """Return the share of the claim's words with a polarity that the evidence contradicts, in [0, 1]."""
    sides = [side for sentence in claim for side in sentence.words]
    evidence_sides = [side for sentence in evidence for side in sentence.words]
    against = 0.0
    for side in sides:
        same = max(
            (_shared_context(side, other) for other in evidence_sides if other[:2] == side[:2]),
            default=0.0,
        )
        contrary = (side.axis, -side.sign)
        other = max(
            (_shared_context(side, one) for one in evidence_sides if one[:2] == contrary),
            default=0.0,
        )
        against += max(0.0, other - same)
    return against / (len(sides) or 1)


def negation_mismatch(claim: Sequence[Polarity], evidence: Sequence[Polarity]) -> float:
    """Return how certain it is that only one of claim and evidence negates the statement, in [0, 1]."""
    claim_scopes = [stems for sentence in claim for stems in sentence.negated]
    evidence_scopes = [stems for sentence in evidence for stems in sentence.negated]
    if claim_scopes:
        return max(1.0 - min(1.0, 2.5 * _overlap(scope, evidence_scopes)) for scope in claim_scopes)
    stems = frozenset[int]().union(*(sentence.stems for sentence in claim))
    shares = (len(scope & stems) / len(scope) for scope in evidence_scopes if scope)
    return max((max(0.0, 2.0 * share - 1.0) for share in shares), default=0.0)


def _negates(text: AnalyzedText, at: int) -> bool:
    word = text.lowered[at]
    after = text.lowered[at + 1] if at + 1 < len(text.lowered) else ""
    return (word in NEGATORS or word.endswith(("n't", "n’t"))) and after not in _SOFTENERS


def _polar_words(text: AnalyzedText, tokens: range, negators: Sequence[int]) -> Iterator[PolarWord]:
    for i in tokens:
        axes = AXES.get(text.lowered[i], ())
        if not axes:
            continue
        denied = any(0 < i - negator <= _NEGATION_TOKENS - 2 for negator in negators)
        about = {
            text.stems[j]: 1 / (1 + 0.15 * abs(i - j))
            for j in range(max(tokens.start, i - _CONTEXT), min(tokens.stop, i + _CONTEXT + 1))
            if text.stems[j] and text.lowered[j] not in AXES
        }
        for axis, sign in axes:
            yield PolarWord(axis, -sign if denied and axis == "direction" else sign, about)


def _scope(text: AnalyzedText, tokens: range, at: int) -> frozenset[int]:
    after = range(at + 1, min(tokens.stop, at + 1 + _NEGATION_TOKENS))
    return frozenset(text.stems[i] for i in after) - {0}


def _shared_context(one: PolarWord, other: PolarWord) -> float:
    common = sum(
        min(w, other.context[stem]) for stem, w in one.context.items() if stem in other.context
    )
    return common / (sum(one.context.values()) or 1.0)


def _overlap(stems: frozenset[int], scopes: Sequence[frozenset[int]]) -> float:
    """Return the largest share of `stems` in a scope; 1 if there are no stems but some scope.

    Two negators that apply to no word do not contradict each other.
    """
    if not stems:
        return 1.0 if scopes else 0.0
    return max((len(stems & scope) / len(stems) for scope in scopes), default=0.0)
