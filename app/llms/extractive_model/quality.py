"""Rate how suitable a part of a passage is as an answer to any question."""

import re
from collections.abc import Sequence

from app.llms.extractive_model.pieces import (
    COLONS,
    Piece,
    bullet_of,
    count_words,
    is_ended,
    is_question,
)
from storage.word_lists import any_of, word_lists

_LISTS = word_lists(__file__)
_NO_ANSWER = re.compile(
    rf"{any_of(_LISTS['task_verbs'])} {any_of(_LISTS['task_objects'])}\b"
    r"|in (?:one|two|a few|your own) .{0,30}(?:sentences?|words)\b|true or false|your task"
    r"|(?:explain|show|give|quiz|tell|help) (?:me|this)\b|i just (?:completed|finished)\b"
    r"|\W*(?:next|previous|prev|up next|coming up|end of)\b[^.:,]{0,30}(?::|\.\Z)|module \w+ complete"
    r"|.{0,120}\b(?:read on|see below|read below|(?:you can|let['’]s) now (?:try|move|continue))\b"
    rf"|\(?(?:please )?(?:{any_of(_LISTS['pointers'])}"
    r"|you (?:can|may) (?:also )?(?:read|find|learn)|(?:fig(?:ure|\.)|table|listing) [\d.]+)\b"
    r"|.{0,120}\bfor (?:more |further )?(?:details|information)\W*\Z",
    re.IGNORECASE | re.DOTALL,
)
"""Beginnings of tasks for the reader, references to other places, and captions."""
_UNINFORMATIVE = re.compile(
    r"\A(?-i:[a-z]+)[ ,]|\A\w+ (?:it|this|these|them)\b|https?://(?!localhost)|of this\W*\Z"
    r"|\A(?:an? |some |great |good )*(?:examples|articles?|overview|discussions?|slideshow|introduction)"
    r" (?:of|on|about|to|for|that)\b"
    rf"|\b(?:{any_of(_LISTS['about_document'])}|there are (?:\w+ )?other"
    r"|you (?:might|may|should) (?:already )?(?:be familiar|have heard|know|recall)"
    r"|(?:this|(?:previous|last|next|following)) (?:tutorial|page|section|chapter|lesson|guide|recipe)"
    r"|in (?:part|section|chapter|lesson|module) \d)\b",
    re.IGNORECASE,
)
"""Signs of a sentence that is cut off, refers to earlier text, or is about the document itself."""
_REFERS_BACK = re.compile(
    rf"[—–-]\s|\W*(?:(?!it(?:['’]s| is) (?:\w+ ){{1,2}}(?:to|that)\b){any_of(_LISTS['pronouns'])}"
    rf"|{any_of(_LISTS['connectives'])}"
    r"|(?:in|at|because of|by|with) (?:this|that|these|those|such|other)"
    r"|(?:some|all|most|none|each|one|many|any) of (?:these|those|them)"
    r"|(?:note that|notice that|remember that|because|if|when|since|once|unless)"
    r" (?:this|these|those|they|it|that))\b",
    re.IGNORECASE,
)
"""Openings of a sentence that cannot be understood without the one before."""
_SIDE_SECTION = re.compile(any_of(_LISTS["side_sections"]), re.IGNORECASE)
"""Headings of sections that are about their subject but state no facts."""
_FEWEST_WORDS = 4  # a quote like “Yes.” says too little alone


def quality_of_section(section: str) -> float:
    """Rate a section, given as its path of headings, by its last heading, in [0, 1]."""
    return 0.3 if _SIDE_SECTION.search(section.rpartition(" > ")[2]) else 1.0


def quality_of_pieces(pieces: Sequence[Piece], core: int, *, is_split: bool) -> float:
    """Rate the pieces of a quote, of which `core` is the one that was chosen, in [0, 1].

    `is_split` tells that the quote begins within a list.
    """
    piece, last = pieces[core], pieces[-1]
    text = piece.text[len(bullet_of(piece.text)) :]
    if piece.kind == "code":
        return 0.5
    if _NO_ANSWER.match(text) or any(is_question(piece.text) for piece in pieces):
        return 0.02
    if last.kind != "code" and last.text.endswith(COLONS):
        return 0.2
    if _is_cut_off(pieces):
        return 0.3
    if not is_ended(text) and last.kind != "code":
        return 0.6 if piece.kind == "item" and not _is_title(text) else 0.1
    return _quality_of_statement(pieces, text if core == 0 else "", is_split=is_split)


def states_nothing(text: str) -> bool:
    """Return whether a text is a question, a task for the reader or a reference to another place."""
    return is_question(text) or _NO_ANSWER.match(text) is not None


def refers_back(text: str) -> bool:
    """Return whether a sentence cannot be understood without the one before."""
    return _REFERS_BACK.match(text) is not None


def says_little(text: str) -> bool:
    """Return whether a text has too few words to be quoted alone."""
    return count_words(text) < _FEWEST_WORDS


def _quality_of_statement(pieces: Sequence[Piece], opening: str, *, is_split: bool) -> float:
    """Rate whole statements; `opening` is the first one, empty if it was added for its context."""
    prose = " ".join(piece.text for piece in pieces if piece.kind != "code")
    if _UNINFORMATIVE.search(prose) or refers_back(opening):
        return 0.5
    # An item may depend on the rest of its list.
    if is_split or (len(pieces) == 1 and pieces[0].kind == "item"):
        return 0.75
    return 0.85 if all(piece.kind == "item" for piece in pieces) else 1.0


def _is_cut_off(pieces: Sequence[Piece]) -> bool:
    """Return whether a quotation mark is missing, or there are very few words."""
    whole = " ".join(piece.text for piece in pieces)
    return whole.count("“") != whole.count("”") or says_little(whole)


def _is_title(text: str) -> bool:
    """Return whether most longer words are capitalised, as in a list of links."""
    words = re.findall(r"\w{4,}", text)
    return sum(word[0].isupper() for word in words) > len(words) / 2
