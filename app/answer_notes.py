"""What a reader should know of an answer as a whole, in sentences."""

from storage.domain import Answer

NOT_PEER_REVIEWED = "not_peer_reviewed"
_ONE_AND_MANY = {
    "withheld": (
        "One claim is withheld: nothing in its sources supports it.",
        "{} claims are withheld: nothing in their sources supports them.",
    ),
    "verbatim": (
        "One claim repeats its source word for word, without quotation marks.",
        "{} claims repeat their sources word for word, without quotation marks.",
    ),
    NOT_PEER_REVIEWED: (
        "One claim rests on sources that are not known to be peer-reviewed.",
        "{} claims rest on sources that are not known to be peer-reviewed.",
    ),
}


def notes(answer: Answer) -> list[str]:
    """By the flags of its claims; none where there is nothing to say."""
    said: list[str] = []
    for flag, (one, many) in _ONE_AND_MANY.items():
        count = sum(flag in claim.flags for claim in answer.claims)
        if count:
            said.append(one if count == 1 else many.format(count))
    return said
