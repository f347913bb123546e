"""Texts cut to a number of tokens, without the vendor's tokenizer: rather too short than too long."""

import re
from math import ceil

_PIECE = re.compile(r"\s*(?:[A-Za-zÀ-ɏͰ-ӿ]+|\w|[^\w\s])|\s+\Z")
_LETTERS_A_TOKEN = 4


def windows(text: str, room: int) -> list[str]:
    """The text in as few stretches as have at most `room` tokens each; joined they are the text."""
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
        for start in range(0, len(piece), room * _LETTERS_A_TOKEN):  # one endless word
            if start:
                cut.append("")
            cut[-1] += piece[start : start + room * _LETTERS_A_TOKEN]
        used += cost
    return cut


def _tokens(piece: str) -> int:
    """Of a word a token for every few letters; a character of another script, a digit, a sign is one."""
    return max(1, ceil(len(piece.strip()) / _LETTERS_A_TOKEN))
