"""Read PowerPoint files: one section per slide, with its text, tables and speaker notes."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any, cast

import pptx
from pptx.exc import PythonPptxError

from pipelines.readers.archives import DAMAGED, declared_title, open_archive
from pipelines.readers.page import Page
from pipelines.readers.page_writer import PageWriter
from storage.errors import SourceUnreadable

# PowerPoint uses a vertical tab for a line break within a paragraph.
_BREAK = "\v"
_DEEPEST_GROUP = 20


def read_pptx(data: bytes) -> Page:
    """Read a presentation; raise `SourceUnreadable` if it is not one."""
    with open_archive(data) as archive:
        title = declared_title(archive)
        writer = PageWriter()
        try:
            slides = cast("Any", pptx.Presentation(BytesIO(data))).slides
            for number, slide in enumerate(slides, 1):
                _write_slide(writer, number, slide)
        except (PythonPptxError, SyntaxError) as error:
            raise SourceUnreadable(DAMAGED) from error
    return Page(
        text=writer.text if len(writer.blocks) > len(writer.headings) else "",
        blocks=tuple(writer.blocks),
        headings=tuple(writer.headings),
        title=title,
        front_matter={},
    )


def _write_slide(writer: PageWriter, number: int, slide: Any) -> None:
    title = slide.shapes.title
    name = " ".join(title.text_frame.text.split()) if title is not None else ""
    writer.prose(f"Slide {number}: {name}" if name else f"Slide {number}")
    writer.heading(2, None)
    for shape in _shapes(slide.shapes):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if shape.has_text_frame:
            _write_paragraphs(writer, shape.text_frame)
        elif shape.has_table:
            _write_table(writer, shape.table)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        _write_paragraphs(writer, slide.notes_slide.notes_text_frame)


def _shapes(shapes: Any, depth: int = 0) -> Iterator[Any]:
    """Yield all shapes, including those in groups."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            if depth < _DEEPEST_GROUP:
                yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _write_paragraphs(writer: PageWriter, frame: Any) -> None:
    for paragraph in frame.paragraphs:
        writer.prose(paragraph.text.replace(_BREAK, " "))
        writer.end_block()


def _write_table(writer: PageWriter, table: Any) -> None:
    writer.open_table()
    for row in table.rows:
        for cell in row.cells:
            writer.prose(cell.text.replace(_BREAK, " "))
            writer.end_cell()
        writer.end_row()
    writer.close_table()
