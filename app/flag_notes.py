"""Notes below an answer that count its flagged claims, for every interface."""

from storage.domain import Answer

NOT_PEER_REVIEWED = "not_peer_reviewed"
_SINGULAR_AND_PLURAL = {
    "withheld": (
        "One claim is withheld because no source supports it.",
        "{} claims are withheld because no source supports them.",
    ),
    "verbatim": (
        "One claim repeats its source word for word, without quotation marks.",
        "{} claims repeat their sources word for word, without quotation marks.",
    ),
    NOT_PEER_REVIEWED: (
        "One claim has only sources that are not known to be peer-reviewed.",
        "{} claims have only sources that are not known to be peer-reviewed.",
    ),
}


def list_notes(answer: Answer) -> list[str]:
    """Return one sentence for each flag that the answer's claims have, with the number of claims."""
    notes: list[str] = []
    for flag, (singular, plural) in _SINGULAR_AND_PLURAL.items():
        count = sum(flag in claim.flags for claim in answer.claims)
        if count:
            notes.append(singular if count == 1 else plural.format(count))
    return notes
