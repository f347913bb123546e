"""Splits texts by tokens, estimated without the vendor's tokenizer; windows are rather too short."""

import re
from math import ceil

_PIECE = re.compile(r"\s*(?:[A-Za-zÀ-ɏͰ-ӿ]+|\w|[^\w\s])|\s+\Z")
_LETTERS_A_TOKEN = 4


def windows(text: str, room: int) -> list[str]:
    """Split a text into the fewest windows of at most `room` tokens; joined, they are the text."""
    pieces = _PIECE.findall(text)
    costs = [_tokens(piece) for piece in pieces]
    total = sum(costs)
    if total <= room:
        return [text]
    even = total / ceil(total / room)
    cut: list[str] = [""]
    used = 0
    for piece, cost in zip(pieces, costs, strict=True):
        if (used and used + cost > room) or used >= even:
            cut.append("")
            used = 0
        for start in range(0, len(piece), room * _LETTERS_A_TOKEN):  # one very long word
            if start:
                cut.append("")
            cut[-1] += piece[start : start + room * _LETTERS_A_TOKEN]
        used += cost
    return cut


def _tokens(piece: str) -> int:
    """Count one token per four letters of a word, and one per digit, sign, or character of another script."""
    return max(1, ceil(len(piece.strip()) / _LETTERS_A_TOKEN))
