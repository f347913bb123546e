"""Read Jupyter notebooks: Markdown cells, code cells and their text output."""

import re
from dataclasses import replace
from typing import Any, cast

from pipelines.readers.markdown.reader import write_markdown
from pipelines.readers.page import Page
from pipelines.readers.page_writer import PageWriter
from storage.errors import SourceUnreadable
from storage.json_parsing import parse_json

_NO_NOTEBOOK = "It is not a notebook: it has no list of cells."
# In characters. Longer output is a log or a data table, which is no use for answers.
_LONGEST_OUTPUT = 2_000
_TERMINAL_CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NO_CHARACTER = re.compile(r"[\0\ud800-\udfff]")


def read_notebook(source: str) -> Page:
    """Read a notebook; raise `SourceUnreadable` if it is not one."""
    try:
        notebook = parse_json(source)
    except ValueError as error:
        raise SourceUnreadable("It is not a notebook: its JSON is invalid.") from error
    writer = PageWriter()
    for cell in _cells(notebook):
        _write_cell(writer, cell)
    title = next((heading.text for heading in writer.headings if heading.level == 1), None)
    return Page(
        text=writer.text,
        blocks=tuple(writer.blocks),
        # Each notebook viewer makes heading ids in its own way.
        headings=tuple(replace(heading, anchor=None) for heading in writer.headings),
        title=title,
        front_matter={},
    )


def _cells(notebook: object) -> list[dict[str, Any]]:
    """Return the notebook's cells; up to format version 3, they are inside worksheets."""
    if not isinstance(notebook, dict):
        raise SourceUnreadable(_NO_NOTEBOOK)
    fields = cast("dict[str, Any]", notebook)
    cells = fields.get("cells")
    if cells is None and isinstance(fields.get("worksheets"), list):
        cells = [
            cell
            for sheet in _as_dicts(fields["worksheets"])
            for cell in _as_list(sheet.get("cells"))
        ]
    if not isinstance(cells, list):
        raise SourceUnreadable(_NO_NOTEBOOK)
    return _as_dicts(cast("object", cells))


def _write_cell(writer: PageWriter, cell: dict[str, Any]) -> None:
    text = _join_text(cell.get("source", cell.get("input")))
    match cell.get("cell_type"):
        case "markdown":
            write_markdown(writer, text)
        case "code":
            writer.block("code", text)
            for output in _as_dicts(cell.get("outputs")):
                _write_output(writer, output)
        case _:  # raw cells are for other programs
            pass


def _write_output(writer: PageWriter, output: dict[str, Any]) -> None:
    if output.get("output_type") in ("error", "pyerr") or output.get("name") == "stderr":
        return
    data = output.get("data")
    text = output.get("text") or (
        cast("Any", data).get("text/plain") if isinstance(data, dict) else ""
    )
    plain = _TERMINAL_CODE.sub("", _join_text(text))
    # Output in angle brackets is an object's address or a figure's size, which is no use.
    if len(plain) <= _LONGEST_OUTPUT and not (plain.startswith("<") and plain.endswith(">")):
        writer.block("code", plain)


def _join_text(text: object) -> str:
    """Join a field that is a string or a list of lines; replace NULs and lone surrogates."""
    joined = (
        text if isinstance(text, str) else "".join(t for t in _as_list(text) if isinstance(t, str))
    )
    return _NO_CHARACTER.sub("\ufffd", joined.replace("\r\n", "\n"))


def _as_list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _as_dicts(value: object) -> list[dict[str, Any]]:
    return [cast("dict[str, Any]", item) for item in _as_list(value) if isinstance(item, dict)]
