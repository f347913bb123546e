"""Splits texts by tokens, estimated without the vendor's tokenizer; windows are rather too short."""

import re
from math import ceil

_PIECE = re.compile(r"\s*(?:[A-Za-zÀ-ɏͰ-ӿ]+|\w|[^\w\s])|\s+\Z")
_LETTERS_PER_TOKEN = 4


def split_into_windows(text: str, max_tokens: int) -> list[str]:
    """Split a text into the fewest windows of at most `max_tokens` tokens; joined, they are the text."""
    pieces = _PIECE.findall(text)
    costs = [_count_tokens(piece) for piece in pieces]
    total = sum(costs)
    if total <= max_tokens:
        return [text]
    even = total / ceil(total / max_tokens)
    cut: list[str] = [""]
    used = 0
    for piece, cost in zip(pieces, costs, strict=True):
        if (used and used + cost > max_tokens) or used >= even:
            cut.append("")
            used = 0
        for start in range(0, len(piece), max_tokens * _LETTERS_PER_TOKEN):  # one very long word
            if start:
                cut.append("")
            cut[-1] += piece[start : start + max_tokens * _LETTERS_PER_TOKEN]
        used += cost
    return cut


def _count_tokens(piece: str) -> int:
    """Count one token per four letters of a word, and one per digit, sign, or character of another script."""
    return max(1, ceil(len(piece.strip()) / _LETTERS_PER_TOKEN))
