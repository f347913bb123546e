"""Numbers and names, which a claim must have right, whatever else it says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from app.verification.local.lexicon import MULTIPLIERS, NUMBERS
from app.verification.local.words import AnalyzedText

_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_ORDINAL_ENDINGS = ("st", "nd", "rd", "th")
_FEWEST_INITIALS = 3
_TEN = 10


@dataclass(frozen=True)
class Facts:
    """The numbers and names of a text, by the index of their token."""

    text: AnalyzedText

    @cached_property
    def numbers(self) -> dict[int, float]:
        """Values of digits and number words; “5 million” is one number, at its first token."""
        lowered = self.text.lowered
        values = {i: v for i, t in enumerate(lowered) if (v := _number_value(t)) is not None}
        for i, (before, after) in enumerate(pairwise(lowered)):
            if i in values and after in MULTIPLIERS:
                values[i] *= MULTIPLIERS[after]
            elif (
                before in NUMBERS and after in NUMBERS and NUMBERS[after] < _TEN <= NUMBERS[before]
            ):
                values[i] += values.pop(i + 1)
        return values

    @cached_property
    def names(self) -> list[int]:
        """Capitalised words inside a sentence, and words with a digit in them."""
        first = set(self.text.starts)
        return [
            i
            for i, (token, stem) in enumerate(zip(self.text.tokens, self.text.stems, strict=True))
            if stem and i not in self.numbers and (_is_coded(token) or _is_capital(token, i, first))
        ]

    @cached_property
    def initials(self) -> str:
        """First letters of all words, in which abbreviations are searched."""
        return "".join(token[0] for token in self.text.lowered)

    def has_abbreviated(self, token: str) -> bool:
        """Return whether the text has the words that this token abbreviates."""
        short = token.isupper() and len(token) >= _FEWEST_INITIALS
        return short and token.lower() in self.initials

    def first_words(self) -> Iterator[int]:
        """Yield content words that begin a sentence: their capital does not show whether they are names."""
        return (i for i in self.text.starts if self.text.stems[i] and i not in self.numbers)


def _number_value(token: str) -> float | None:
    if token in NUMBERS:
        return float(NUMBERS[token])
    if not token[0].isdigit():
        return None
    digits = (token[:-2] if token.endswith(_ORDINAL_ENDINGS) else token).replace("·", ".")
    if _GROUPED.fullmatch(digits):
        digits = digits.replace(",", "")
    try:
        return float(digits)
    except ValueError:
        return float(hash(digits) % 2**52) + 0.5  # a time or a version equals only itself


def _is_coded(token: str) -> bool:
    return any(map(str.isdigit, token)) and any(map(str.isalpha, token))


def _is_capital(token: str, at: int, first: set[int]) -> bool:
    return token[0].isupper() and (at not in first or (token.isupper() and len(token) > 1))
