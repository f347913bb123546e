"""Read PDF files: all pages form one text, with a span for each page and headings from the bookmarks."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, cast

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from pipelines.readers.page import Heading, Page
from pipelines.readers.page_writer import PageWriter
from pipelines.readers.pdf.characters import page_runs
from pipelines.readers.pdf.layout import Line, order_lines
from pipelines.readers.pdf.paragraphs import HyphenJoiner, paragraphs, without_running_heads
from pipelines.readers.titles import sensible_title
from storage.errors import SourceUnreadable
from storage.shapes import Metadata, Span

_REASONS = {
    pdfium_c.FPDF_ERR_PASSWORD: "It is protected by a password. Save it without a password and try again.",
    pdfium_c.FPDF_ERR_SECURITY: "Its protection does not allow its text to be read.",
}
_DAMAGED = "It is damaged, or it is not a PDF."
_NO_TEXT = "It has no text. It looks like a scan."
_NO_PAGES = "It has no readable pages."
_MOST_PAGES = 20_000
_DEEPEST_OUTLINE = 6
_MOST_BOOKMARKS = 20_000
# In characters. A bookmark points to a page; its heading is searched in the starts of paragraphs.
_LONGEST_HEADING = 300
_NUMBER_BEFORE = 12

Bookmark = tuple[int, int, str]
"""The page from 0, the level from 2 (level 1 is the document's title) and the title."""


def read_pdf(data: bytes) -> Page:
    """Read a PDF; raise `SourceUnreadable` if it is locked, damaged, or a scan without text."""
    with closing(_open(data)) as document:
        if not len(document):
            raise SourceUnreadable(_NO_PAGES)
        if len(document) > _MOST_PAGES:
            raise SourceUnreadable(f"It has more than {_MOST_PAGES} pages.")
        pages = without_running_heads([_lines(document, number) for number in range(len(document))])
        bookmarks = _bookmarks(document)
        described = document.get_metadata_dict(skip_empty=True)
    writer, spans = _write_pages(pages)
    if not writer.blocks:
        raise SourceUnreadable(_NO_TEXT)
    return Page(
        text=writer.text,
        blocks=tuple(writer.blocks),
        headings=tuple(_headings(writer, spans, bookmarks)),
        title=sensible_title(described.get("Title")),
        front_matter=_author(described),
        pages=tuple(spans),
    )


def _open(data: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        raise SourceUnreadable(_REASONS.get(cast("Any", error).err_code, _DAMAGED)) from error


def _lines(document: pdfium.PdfDocument, number: int) -> list[Line]:
    """Return a page's lines; return none for a damaged page, as the other pages may be readable."""
    try:
        page = document[number]
    except pdfium.PdfiumError:
        return []
    with closing(page):
        try:
            text = page.get_textpage()
        except pdfium.PdfiumError:
            return []
        with closing(text):
            return order_lines(page_runs(text))


def _write_pages(pages: Sequence[Sequence[Line]]) -> tuple[PageWriter, list[Span]]:
    """Write the text; also return each page's span, which ends where the next page's text starts."""
    hyphens = HyphenJoiner(line.text for page in pages for line in page)
    writer = PageWriter()
    starts: list[int | None] = []
    for page in pages:
        first = len(writer.blocks)
        for kind, text in paragraphs(page, hyphens):
            writer.block(kind, text)
        starts.append(writer.blocks[first].start if len(writer.blocks) > first else None)
    spans: list[Span] = []
    end = len(writer.text)
    for start in reversed(starts):
        spans.append((end if start is None else start, end))
        end = spans[-1][0]
    return writer, spans[::-1]


def _bookmarks(document: pdfium.PdfDocument) -> list[Bookmark]:
    """Return the outline's bookmarks in page order."""
    found: list[Bookmark] = []
    try:
        for bookmark in cast("Any", document).get_toc(max_depth=_DEEPEST_OUTLINE):
            destination = bookmark.get_dest()
            page = destination.get_index() if destination else None
            title = " ".join(bookmark.get_title().split())
            if page is not None and title:
                found.append((page, bookmark.level + 2, title))
            if len(found) >= _MOST_BOOKMARKS:
                break
    except (pdfium.PdfiumError, UnicodeError):  # a damaged outline does not affect the text
        pass
    return sorted(found, key=lambda bookmark: bookmark[0])


def _headings(
    writer: PageWriter, pages: Sequence[Span], bookmarks: Sequence[Bookmark]
) -> Iterator[Heading]:
    """Yield a heading for each bookmark, at its words on the page or else at the page's start."""
    text, starts = writer.text, [block.start for block in writer.blocks]
    position = 0
    for page, level, title in bookmarks:
        if page >= len(pages):
            continue
        first, last = (bisect_left(starts, place) for place in pages[page])
        first = max(first, position)
        names = [_letters(text[start : start + _LONGEST_HEADING].split("\n\n", 1)[0])
                 for start in starts[first:last]]  # fmt: skip
        if not names:
            continue
        index = first + _best_match(_letters(title), names)
        position = index + 1
        yield Heading(level=level, text=title, anchor=None, start=starts[index])


def _best_match(wanted: str, names: Sequence[str]) -> int:
    """Return the index of the name that matches best, or 0.

    Exact matches come first, because a running head may also contain the title.
    """
    if wanted in names:
        return names.index(wanted)
    for index, name in enumerate(names):
        if name.startswith(wanted) or (
            name and wanted.startswith(name) and 2 * len(name) > len(wanted)
        ):
            return index
    near = [n for n, name in enumerate(names) if wanted in name[: len(wanted) + _NUMBER_BEFORE]]
    return near[0] if near else 0


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _author(described: dict[str, str]) -> Metadata:
    author = sensible_title(described.get("Author"))
    return {"author": author} if author else {}
