"""Tests of Word, PowerPoint, Excel, EPUB and CSV: headings, slides, sheets and chapters are sections."""

import pytest

from pipelines.readers import archives
from storage.errors import SourceUnreadable
from tests.pipelines.archives import (
    build_docx,
    build_epub,
    build_pptx,
    build_xlsx,
    build_zip,
    paragraph,
)
from tests.pipelines.pages import outline, read_page


def test_word_keeps_its_headings_and_tables() -> None:
    table = "<w:tbl><w:tr><w:tc>{}</w:tc><w:tc>{}</w:tc></w:tr></w:tbl>"
    body = (
        paragraph("The Lamp", "Title")
        + paragraph("It shines.")
        + paragraph("Oil", "heading1")
        + table.format(paragraph("Paraffin"), paragraph("2.4 litres"))
    )
    reading = read_page(build_docx(body, title="Something else"), "guides/The lamp.docx")
    assert reading.text == "The Lamp\n\nIt shines.\n\nOil\n\nParaffin | 2.4 litres"
    assert outline(reading) == [(("The Lamp",), None), (("The Lamp", "Oil"), None)]
    assert reading.route == "guides/The%20lamp.docx"


def test_bold_lines_are_headings_where_there_are_no_others() -> None:
    body = paragraph("Oil", bold=True) + paragraph("Paraffin.") + paragraph("Fill it!", bold=True)
    assert outline(read_page(build_docx(body), "lamp.docx"))[0] == (("Lamp", "Oil"), None)
    body += paragraph("Wick", "heading1") + paragraph("Trim it.")
    assert [path for path, _ in outline(read_page(build_docx(body), "lamp.docx"))] == [
        ("Wick",)
    ] * 2


def test_the_declared_title_is_taken_when_there_is_no_heading() -> None:
    assert (
        read_page(build_docx(paragraph("It shines."), title="All lamps"), "a.docx").title
        == "All lamps"
    )
    assert read_page(build_docx(paragraph("It shines."), title="Document1"), "a.docx").title == "A"


def test_a_section_a_slide() -> None:
    deck = build_pptx(
        ("Tides", ["High water", "Low water"], "Say it slowly."),
        ("", ["Questions?"], ""),
        table=[["Port", "Height"], ["Skerry", "6 m"]],
    )
    reading = read_page(deck, "tides.pptx")
    assert reading.text == (
        "Slide 1: Tides\n\nHigh water\n\nLow water\n\nSay it slowly.\n\n"
        "Slide 2\n\nQuestions?\n\nPort | Height\nSkerry | 6 m"
    )
    assert [path[-1] for path, _ in outline(reading)] == ["Slide 1: Tides", "Slide 2"]


def test_a_section_a_sheet() -> None:
    reading = read_page(
        build_xlsx({"Oil": [["month", "litres"], ["May", 12.0], ["June", 9.5]], "Empty": [[""]]}),
        "oil.xlsx",
    )
    assert reading.text == "Oil\n\nmonth | litres\nMay | 12\nJune | 9.5"
    assert outline(reading) == [(("Oil", "Oil"), None)]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_rows_of_separated_values(separator: str) -> None:
    source = 'month,litres\n"May, June",12\n\nJuly,9,more\n'
    cells = source.replace(",", separator).replace(f'"May{separator} June"', '"May, June"')
    assert read_page(cells, "oil.csv").text == "month | litres\nMay, June | 12\nJuly | 9 | more"


def test_a_book_is_read_in_the_order_of_its_spine() -> None:
    book = build_epub(
        {"z.xhtml": "<h1>One</h1><p>It is dark.</p>", "a.xhtml": "<h1 id=x>Two</h1><p>Light!</p>"}
    )
    reading = read_page(book, "lamps.epub")
    assert reading.text == "One\n\nIt is dark.\n\nTwo\n\nLight!"
    assert reading.title == "The Book of Lamps"
    assert reading.metadata == {"author": "A. Keeper"}
    assert reading.language == "en"
    assert {anchor for _, anchor in outline(reading)} == {None}


def test_a_chapter_that_is_missing_does_not_cost_the_book() -> None:
    book = build_epub({"a.xhtml": "<p>Light!</p>", "../../../etc/passwd": "<p>Secret</p>"})
    assert read_page(book, "a.epub").text == "Light!"


BOMB = {"word/document.xml": b"\0" * 30_000_000}
LAUGHS = '<!DOCTYPE c [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><container>&b;</container>'


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.epub"])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no archive", "damaged, or its suffix is wrong"),
        (b"", "damaged, or its suffix is wrong"),
        (build_zip({"a.txt": "a"}), "damaged, or its suffix is wrong"),
        (build_zip({"META-INF/container.xml": LAUGHS}), "damaged, or its suffix is wrong"),
        (build_docx("<w:p>")[:-200], "damaged, or its suffix is wrong"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "protected by a password or in a format older"),
        (build_zip(BOMB), "It unpacks to 30 MB from 0.0 MB"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(SourceUnreadable, match=reason):
        read_page(data, name)


def test_an_archive_too_large_is_refused_before_it_is_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archives, "_LARGEST_UNPACKED", 1_000_000)
    with pytest.raises(SourceUnreadable, match="It unpacks to 2 MB, larger than the limit of 1 MB"):
        read_page(build_zip({"a": b"x" * 2_000_000}), "a.docx")


def test_a_book_with_a_lock_says_so() -> None:
    book = build_epub({"a.xhtml": "<p>x</p>"}, **{"META-INF/rights.xml": "<rights/>"})
    with pytest.raises(SourceUnreadable, match="DRM"):
        read_page(book, "a.epub")
