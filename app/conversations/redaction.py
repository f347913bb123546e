"""Answers as somebody may see them who has lost access to what they quote."""

import re
from collections.abc import Set
from typing import Any
from uuid import UUID

from storage.domain import Answer, Claim

WITHHELD = "[withheld: you may no longer read the source]"
_MARKER = re.compile(r"(?<!\\)\[(\d+)\]")


def withhold(answer: Answer, hidden: Set[UUID], *, influenced: bool = False) -> Answer:
    """Only claims whose every footnote opens; where the others stood, a note says so.

    `hidden` are those of the sources the answer was written with that must not be told; it was
    `influenced` when something hidden had been said before it. A claim without a footnote goes too,
    as it may rest on a hidden source all the same, and so does whatever stands between claims and
    has words in it.
    """
    if not _is_touched(answer, hidden, influenced=influenced):
        return answer
    text, kept, end = "", list[Claim](), 0
    for claim in sorted(answer.claims, key=lambda claim: claim.start):
        text = _joined(text, _between(answer.text[end : claim.start], kept[-1:]))
        if _opens(claim, hidden):
            start = len(text)
            text += answer.text[claim.start : claim.end]
            kept.append(claim.model_copy(update={"start": start, "end": len(text)}))
        elif not text.rstrip().endswith(WITHHELD):
            text += WITHHELD
        end = claim.end
    text = _joined(text, _between(answer.text[end:], kept[-1:]).rstrip())
    return answer.model_copy(
        update={
            "text": text if text.strip() or kept else WITHHELD,
            "claims": tuple(kept),
            "sources": tuple(source for source in answer.sources if source.id not in hidden),
            "abstention": _abstention(answer, hidden),
        }
    )


def kept_claims(answer: Answer, hidden: Set[UUID], *, influenced: bool = False) -> list[int]:
    """Which of its claims are left, in their order: what a claim's number means to who rates it."""
    numbers = range(len(answer.claims))
    if not _is_touched(answer, hidden, influenced=influenced):
        return [*numbers]
    left = [number for number in numbers if _opens(answer.claims[number], hidden)]
    return sorted(left, key=lambda number: answer.claims[number].start)


def _is_touched(answer: Answer, hidden: Set[UUID], *, influenced: bool) -> bool:
    """What Ibid itself says when it declines comes from no model that had heard anything."""
    return bool(hidden) or (influenced and answer.model is not None)


def _between(gap: str, before: list[Claim]) -> str:
    """What stands behind a claim: its markers when it is shown, and no words."""
    shown = {citation.n for claim in before for citation in claim.citations}
    bare = _MARKER.sub(lambda found: found[0] if int(found[1]) in shown else "", gap)
    if not re.search(r"\w", _MARKER.sub("", bare)):
        return bare
    return "".join(found[0] for found in _MARKER.finditer(bare)) + " "


def _joined(text: str, gap: str) -> str:
    return text if gap.isspace() and text.endswith(" ") else text + gap


def _abstention(answer: Answer, hidden: Set[UUID]) -> Any:
    nearest = answer.abstention.nearest if answer.abstention else ()
    left = tuple(near for near in nearest if near.source_id not in hidden)
    return answer.abstention and answer.abstention.model_copy(update={"nearest": left})


def _opens(claim: Claim, hidden: Set[UUID]) -> bool:
    return bool(claim.citations) and not any(c.source_id in hidden for c in claim.citations)
