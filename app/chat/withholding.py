"""Answers as somebody may see them who has lost access to what they quote."""

import re
from collections.abc import Set
from uuid import UUID

from storage.domain import Answer, Claim

WITHHELD = "[withheld: you may no longer read the source]"


def withhold(answer: Answer, hidden: Set[UUID]) -> Answer:
    """Only claims whose every footnote opens; where the others stood, a note says so.

    A claim without a footnote goes too, as it may rest on a hidden source all the same, and so does
    whatever stands between claims and has words in it.
    """
    if not rests_on(answer) & hidden:
        return answer
    text, kept, end = "", list[Claim](), 0
    for claim in sorted(answer.claims, key=lambda claim: claim.start):
        gap = answer.text[end : claim.start]
        gap = " " if re.search(r"\w", gap) else gap
        text += "" if gap.isspace() and text.endswith(" ") else gap
        if _opens(claim, hidden):
            start = len(text)
            text += answer.text[claim.start : claim.end]
            kept.append(claim.model_copy(update={"start": start, "end": len(text)}))
        elif not text.rstrip().endswith(WITHHELD):
            text += WITHHELD
        end = claim.end
    nearest = answer.abstention.nearest if answer.abstention else ()
    abstention = answer.abstention and answer.abstention.model_copy(
        update={"nearest": tuple(near for near in nearest if near.source_id not in hidden)}
    )
    return answer.model_copy(
        update={
            "text": text if text.strip() else WITHHELD,
            "claims": tuple(kept),
            "sources": tuple(source for source in answer.sources if source.id not in hidden),
            "abstention": abstention,
        }
    )


def rests_on(answer: Answer) -> set[UUID]:
    """Every source that the answer tells something of."""
    nearest = answer.abstention.nearest if answer.abstention else ()
    return {
        *(citation.source_id for citation in answer.citations),
        *(source.id for source in answer.sources),
        *(near.source_id for near in nearest),
    }


def _opens(claim: Claim, hidden: Set[UUID]) -> bool:
    return bool(claim.citations) and not any(c.source_id in hidden for c in claim.citations)
