"""Make minimal office files and EPUB books for the tests."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pptx
from pptx.util import Inches

_OFFICE = "http://schemas.openxmlformats.org"
_RELATIONS = f'xmlns="{_OFFICE}/package/2006/relationships"'
_TYPES = f'<Types xmlns="{_OFFICE}/package/2006/content-types"><Default Extension="xml" '
_TYPES += 'ContentType="application/xml"/><Default Extension="rels" '
_TYPES += 'ContentType="application/vnd.openxmlformats-package.relationships+xml"/></Types>'


def build_zip(members: Mapping[str, str | bytes]) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _package(main: str, members: Mapping[str, str], title: str) -> bytes:
    root = (
        f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument/2006/relationships/officeDocument" '
    )
    core = '<c xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>' + title + "</dc:title></c>"
    return build_zip({
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": f'<Relationships {_RELATIONS}>{root}Target="{main}"/></Relationships>',
        "docProps/core.xml": core,
        **members,
    })  # fmt: skip


def build_docx(body: str, title: str = "", **members: str) -> bytes:
    """Make a Word document; `body` is WordprocessingML."""
    document = f'<w:document xmlns:w="{_OFFICE}/wordprocessingml/2006/main"><w:body>{body}</w:body>'
    styles = f'<w:styles xmlns:w="{_OFFICE}/wordprocessingml/2006/main">' + "".join(
        f'<w:style w:type="paragraph" w:styleId="{name.replace(" ", "")}"><w:name w:val="{name}"/></w:style>'
        for name in ("Title", "heading 1", "heading 2")
    )
    related = f'<Relationships {_RELATIONS}><Relationship Id="r2" Type="{_OFFICE}/officeDocument/'
    related += '2006/relationships/styles" Target="styles.xml"/></Relationships>'
    return _package(
        "word/document.xml",
        {
            "word/document.xml": document + "</w:document>",
            "word/styles.xml": styles + "</w:styles>",
            "word/_rels/document.xml.rels": related,
            **members,
        },
        title,
    )


def paragraph(text: str, style: str = "", bold: bool = False) -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    run = "<w:rPr><w:b/></w:rPr>" if bold else ""
    return f"<w:p>{properties}<w:r>{run}<w:t>{text}</w:t></w:r></w:p>"


def build_xlsx(sheets: Mapping[str, Sequence[Sequence[str | float]]], title: str = "") -> bytes:
    main = f"{_OFFICE}/spreadsheetml/2006/main"
    relations = f"{_OFFICE}/officeDocument/2006/relationships"
    members = {}
    for number, rows in enumerate(sheets.values(), 1):
        cells = "".join("<row>" + "".join(_cell(value) for value in row) + "</row>" for row in rows)
        members[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'
        )
    names = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="s{n}"/>' for n, name in enumerate(sheets, 1)
    )
    members["xl/workbook.xml"] = (
        f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets>{names}</sheets></workbook>'
    )
    members["xl/_rels/workbook.xml.rels"] = f"<Relationships {_RELATIONS}>" + "".join(
        f'<Relationship Id="s{n}" Type="{relations}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    ) + "</Relationships>"  # fmt: skip
    return _package("xl/workbook.xml", members, title)


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return f"<c><v>{value}</v></c>"


def build_pptx(*shown: tuple[str, list[str], str], table: Sequence[Sequence[str]] = ()) -> bytes:
    """Make a presentation from each slide's title, lines and notes; the table is on the last slide."""
    deck: Any = pptx.Presentation()
    for title, lines, notes in shown:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(lines)
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    if table:
        size = Inches(1)
        frame = deck.slides[-1].shapes.add_table(len(table), len(table[0]), size, size, size, size)
        for row, texts in zip(frame.table.rows, table, strict=True):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text
    buffer = BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def build_epub(chapters: Mapping[str, str], **others: str) -> bytes:
    """Make a book from its chapters by file name, in order; `others` are further archive members."""
    items = "".join(
        f'<item id="c{n}" href="{name}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        "<metadata><dc:title>The Book of\n Lamps</dc:title><dc:creator>A. Keeper</dc:creator>"
        f"<dc:language>en</dc:language></metadata><manifest>{items}</manifest><spine>{spine}</spine>"
        "</package>"
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    return build_zip({
        "META-INF/container.xml": container,
        "OEBPS/book.opf": opf,
        **{f"OEBPS/{name}": f"<html><body>{html}</body></html>" for name, html in chapters.items()},
        **others,
    })  # fmt: skip
