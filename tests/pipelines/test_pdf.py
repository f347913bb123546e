"""Tests of PDF: one source with page numbers, and columns in reading order."""

from pathlib import Path

import pytest

from app.wiring import Services
from pipelines.ingestion.splitting import split_document
from pipelines.readers import SourceDocument
from storage.errors import SourceUnreadable
from tests.pipelines.pages import read_page
from tests.pipelines.pdfs import LOCK, Words, build_pdf, place_lines

LEFT = [
    "The keeper winds the clock before the light is",
    "lit, because the lens must already turn when",
    "the flame appears. The clock has a weight of a",
    "hundred pounds, and it takes forty turns of the",
    "handle to bring the weight up to the lantern.",
    "The weight sinks for four hours, so the keeper",
    "comes back at midnight to wind it once more.",
]
RIGHT = [
    "Paraffin is kept in the lower store, which has",
    "a door of iron. A barrel lasts for nine nights",
    "in summer and for five in winter. The keeper",
    "writes each barrel into the logbook on the day",
    "that it is opened, with the number on its lid",
    "and the name of the boat that brought it to",
    "the landing, whatever the weather was then.",
]


def read_pdf(data: bytes, name: str = "manual.pdf") -> SourceDocument:
    return read_page(data, name)


def page_texts(reading: SourceDocument) -> list[str]:
    return [reading.text[start:end].strip() for start, end in reading.pages]


def test_each_page_has_its_span_and_sections_link_to_it() -> None:
    reading = read_pdf(build_pdf([Words("The lamp shines.")], [], [Words("The horn sounds.")]))
    assert page_texts(reading) == ["The lamp shines.", "", "The horn sounds."]
    assert [section.anchor for section in reading.sections] == ["page=1", "page=3"]
    assert [section.path for section in reading.sections] == [("Manual",), ("Manual",)]
    assert reading.route == "manual.pdf"
    assert [reading.page_at(cut.start) for cut in split_document(reading)] == [1, 3]


def test_what_has_no_pages_knows_none() -> None:
    assert read_page("Text").page_at(0) is None


def test_lines_are_joined_and_hyphens_at_their_ends_undone() -> None:
    lines = [
        "The lamp has a clockwork that turns the lens, and an appa-",
        "ratus for the oil. A well-known maker built it; it is well-",
        "known for its weight of a hundred pounds and for its noise.",
    ]
    assert read_pdf(build_pdf(place_lines(lines))).text == (
        "The lamp has a clockwork that turns the lens, and an apparatus for the oil. A well-known "
        "maker built it; it is well-known for its weight of a hundred pounds and for its noise."
    )


def test_a_gap_between_lines_ends_the_paragraph() -> None:
    lines = [*place_lines(LEFT[:3]), *place_lines(RIGHT[:3], top=640)]
    first, second = read_pdf(build_pdf(lines)).text.split("\n\n")
    assert first == " ".join(LEFT[:3])
    assert second == " ".join(RIGHT[:3])


@pytest.mark.parametrize("by_row", [False, True])
def test_two_columns_are_read_one_after_the_other(by_row: bool) -> None:
    left, right = place_lines(LEFT), place_lines(RIGHT, x=330)
    by_rows = [word for row in zip(left, right, strict=True) for word in row]
    words = by_rows if by_row else left + right
    heading = Words("How the light is kept at Skerry Point, a manual for its keepers", 72, 740, 18)
    text = read_pdf(build_pdf([heading, *words])).text
    assert text.startswith("How the light is kept at Skerry Point")
    assert " ".join(LEFT) in text
    assert text.endswith(" ".join(RIGHT))


def test_the_rows_of_a_table_are_lines() -> None:
    rows = [[Words(name, 72, 700 - 20 * n), Words(str(n), 300, 700 - 20 * n)]
            for n, name in enumerate(["Oil in litres", "Wicks", "Matches"])]  # fmt: skip
    text = read_pdf(build_pdf([word for row in rows for word in row])).text
    assert text == "Oil in litres 0\nWicks 1\nMatches 2"


def test_what_is_printed_on_every_page_is_left_out() -> None:
    pages = [
        [Words("The Keeper's Manual", y=760), Words(sentence), Words(f"Page {number} of 5", y=30)]
        for number, sentence in enumerate(LEFT[:5], 1)
    ]
    assert page_texts(read_pdf(build_pdf(*pages))) == LEFT[:5]


def test_bookmarks_open_sections_where_their_words_stand() -> None:
    first = [Words("Lamp", size=18), Words("It shines.", y=670)]
    second = [
        Words("It burns oil.", y=700),
        Words("Foghorn", y=660, size=18),
        Words("Loud.", y=630),
    ]
    reading = read_pdf(build_pdf(first, second, bookmarks=[("Lamp", 0), ("Foghorn", 1)]))
    assert [(s.path, s.anchor) for s in reading.sections] == [
        (("Manual", "Lamp"), "page=1"),
        (("Manual", "Lamp"), "page=2"),
        (("Manual", "Foghorn"), "page=2"),
    ]
    assert reading.text[reading.sections[2].start :].startswith("Foghorn")


@pytest.mark.parametrize(
    ("declared", "title"),
    [
        ("The Keeper's Manual", "The Keeper's Manual"),
        ("Microsoft Word - The lamp", "The lamp"),
        ("manual_final.docx", "Manual"),
        ("untitled", "Manual"),
        ("12-34 5", "Manual"),
    ],
)
def test_a_title_that_a_program_made_up_is_not_believed(declared: str, title: str) -> None:
    assert read_pdf(build_pdf([Words("Text")], title=declared)).title == title


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (build_pdf([]), "It has no text. It looks like a scan."),
        (build_pdf([Words("Text")], trailer=LOCK), "protected by a password"),
        (b"%PDF-1.4\nnothing", "damaged"),
        (b"PK\x03\x04", "damaged"),
        (b"", "damaged"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(SourceUnreadable, match=reason):
        read_pdf(data)


async def test_a_footnote_names_the_page_and_opens_it(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "docs" / "The manual.pdf"
    file.parent.mkdir()
    file.write_bytes(build_pdf([Words("The lamp shines.")], place_lines(RIGHT)))
    await services.ingestion.run([file.parent], base_url="https://docs.example.com")
    passages = await services.search.passages("How long does a barrel of paraffin last?")
    best = passages[0]
    assert "nine nights" in best.text
    assert (best.page, best.url) == (2, "https://docs.example.com/The%20manual.pdf#page=2")
