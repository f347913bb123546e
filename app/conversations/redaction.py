"""Redact answers for a reader who has lost access to their sources."""

import re
from collections.abc import Set
from typing import Any
from uuid import UUID

from storage.domain import Answer, Claim

WITHHELD = "[withheld: you no longer have access to the source]"
_MARKER = re.compile(r"(?<!\\)\[(\d+)\]")


def redact(answer: Answer, hidden: Set[UUID], *, influenced: bool = False) -> Answer:
    """Return the answer with only the claims whose every footnote is readable, and a note for the others.

    `hidden` are the sources of the answer that the reader may not see. `influenced` tells that hidden
    text came earlier in the conversation. Claims without a footnote are removed too, as they may rest on
    a hidden source, and so is any text with words between claims.
    """
    if not _needs_redaction(answer, hidden, influenced=influenced):
        return answer
    text, kept, end = "", list[Claim](), 0
    for claim in sorted(answer.claims, key=lambda claim: claim.start):
        text = _append_gap(text, _text_between(answer.text[end : claim.start], kept[-1:]))
        if _is_visible(claim, hidden):
            start = len(text)
            text += answer.text[claim.start : claim.end]
            kept.append(claim.model_copy(update={"start": start, "end": len(text)}))
        elif not text.rstrip().endswith(WITHHELD):
            text += WITHHELD
        end = claim.end
    text = _append_gap(text, _text_between(answer.text[end:], kept[-1:]).rstrip())
    return answer.model_copy(
        update={
            "text": text if text.strip() or kept else WITHHELD,
            "claims": tuple(kept),
            "sources": tuple(source for source in answer.sources if source.id not in hidden),
            "abstention": _redact_abstention(answer, hidden),
        }
    )


def visible_claims(answer: Answer, hidden: Set[UUID], *, influenced: bool = False) -> list[int]:
    """Return the indexes of the claims that remain, in the order of the text.

    A reader who rates a claim gives its position in this list.
    """
    numbers = range(len(answer.claims))
    if not _needs_redaction(answer, hidden, influenced=influenced):
        return [*numbers]
    left = [number for number in numbers if _is_visible(answer.claims[number], hidden)]
    return sorted(left, key=lambda number: answer.claims[number].start)


def _needs_redaction(answer: Answer, hidden: Set[UUID], *, influenced: bool) -> bool:
    """Return whether the answer must be redacted.

    An answer without a model, such as Ibid's own text when it declines, cannot repeat earlier hidden text.
    """
    return bool(hidden) or (influenced and answer.model is not None)


def _text_between(gap: str, before: list[Claim]) -> str:
    """Return the text between claims without words: punctuation, and the markers of the shown claim."""
    shown_numbers = {citation.n for claim in before for citation in claim.citations}
    bare = _MARKER.sub(lambda found: found[0] if int(found[1]) in shown_numbers else "", gap)
    if not re.search(r"\w", _MARKER.sub("", bare)):
        return bare
    return "".join(found[0] for found in _MARKER.finditer(bare)) + " "


def _append_gap(text: str, gap: str) -> str:
    return text if gap.isspace() and text.endswith(" ") else text + gap


def _redact_abstention(answer: Answer, hidden: Set[UUID]) -> Any:
    nearest = answer.abstention.nearest if answer.abstention else ()
    left = tuple(near for near in nearest if near.source_id not in hidden)
    return answer.abstention and answer.abstention.model_copy(update={"nearest": left})


def _is_visible(claim: Claim, hidden: Set[UUID]) -> bool:
    return bool(claim.citations) and not any(c.source_id in hidden for c in claim.citations)
