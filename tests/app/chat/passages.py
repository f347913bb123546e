"""Passages made by hand: spans of one canonical text, as an index would give them."""

from uuid import UUID, uuid5

from storage.domain import Passage

SOURCE = UUID("5f0c6a0e-2d54-4a55-9c6d-6c1d1a1f2b3c")

SECTIONS = {
    "Fuel": "The lamp burns 2.4 litres of paraffin an hour. Fill the tank every morning, and\n"
    "never while the burner is hot.",
    "Why the lens turns": "The lens turns so that ships see a flash every ten seconds. Nobody "
    "turns it by hand!",
    "Signal": "One blast of four seconds is given every minute. Is it foggy? Then `horn --on` "
    "[sic] starts the * compressor.",
}

TEXT = "".join(f"{heading}\n\n{body}\n\n" for heading, body in SECTIONS.items())
"""The canonical text that all of them are cut from."""


def passage(heading: str) -> Passage:
    """The section under this heading."""
    text = SECTIONS[heading]
    start = TEXT.index(text)
    ordinal = list(SECTIONS).index(heading)
    return Passage(
        id=Passage.make_id(SOURCE, 1, ordinal),
        source_id=uuid5(SOURCE, "manual"),
        corpus="default",
        version=1,
        ordinal=ordinal,
        title="The manual",
        section=("The manual", heading),
        url=f"https://skerry.example/manual#{ordinal}",
        text=text,
        start=start,
        end=start + len(text),
        similarity=0.0,
    )


PASSAGES = [passage(heading) for heading in SECTIONS]
