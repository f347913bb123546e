"""Read workbooks and comma-separated values: one section per sheet, one table line per row."""

import csv
from collections.abc import Iterable
from datetime import date, datetime, time
from io import BytesIO, StringIO

from python_calamine import CalamineError, CalamineWorkbook

from pipelines.readers.archives import DAMAGED, declared_title, open_archive
from pipelines.readers.page import Page
from pipelines.readers.page_writer import PageWriter
from storage.errors import SourceUnreadable

# In characters. The csv module searches the sample for quoted cells in quadratic time.
_SAMPLE = 4_096
_SEPARATORS = ",;\t|"
_MOST_CELLS = 2_000_000


def read_xlsx(data: bytes) -> Page:
    """Read a workbook's last computed values, not its formulas; raise `SourceUnreadable` if damaged."""
    writer = PageWriter()
    with open_archive(data) as archive:
        title = declared_title(archive)
        try:
            workbook = CalamineWorkbook.from_filelike(BytesIO(data))
            for name in workbook.sheet_names:
                rows = workbook.get_sheet_by_name(name).to_python()
                if any(any(cell != "" for cell in row) for row in rows):
                    writer.prose(name)
                    writer.heading(2, None)
                    _write_rows(writer, ([_cell_text(cell) for cell in row] for row in rows))
        except CalamineError as error:
            raise SourceUnreadable(DAMAGED) from error
    return _build_page(writer, title)


def read_csv(source: str) -> Page:
    """Read a table of text; the separator is detected, and rows may differ in length."""
    try:
        dialect = csv.Sniffer().sniff(source[:_SAMPLE], _SEPARATORS)
    except csv.Error:
        dialect = csv.excel
    writer = PageWriter()
    try:
        _write_rows(writer, csv.reader(StringIO(source, newline=""), dialect))
    except csv.Error as error:
        raise SourceUnreadable(f"Its rows cannot be parsed: {error}.") from error
    return _build_page(writer, None)


def _write_rows(writer: PageWriter, rows: Iterable[list[str]]) -> None:
    writer.open_table()
    cells = 0
    for row in rows:
        cells += len(row)
        if cells > _MOST_CELLS:
            raise SourceUnreadable(f"It has a table of more than {_MOST_CELLS} cells.")
        while row and not row[-1].strip():
            row.pop()
        for cell in row:
            writer.prose(cell)
            writer.end_cell()
        writer.end_row()
    writer.close_table()


def _cell_text(cell: float | str | bool | date | time | object) -> str:
    """Return a cell's text; whole numbers have no `.0`, as in a spreadsheet."""
    match cell:
        case bool():
            return str(cell).upper()
        case float() if cell.is_integer():
            return str(int(cell))
        case datetime():
            return cell.isoformat(sep=" ", timespec="minutes")
        case _:
            return str(cell)


def _build_page(writer: PageWriter, title: str | None) -> Page:
    return Page(
        text=writer.text,
        blocks=tuple(writer.blocks),
        headings=tuple(writer.headings),
        title=title,
        front_matter={},
    )
