"""A writer of canonical text; it records every offset while writing instead of searching for it later."""

import re
from dataclasses import dataclass

from pipelines.readers.page import Block, BlockKind, Heading

# The white space that a browser collapses to one space; no-break spaces are kept.
_BLANKS = re.compile(r"[ \t\n\r\f]+")
# Deeper lists get no more indentation: ten thousand nested lists must not produce a gigabyte of spaces.
_DEEPEST_INDENT = 8


@dataclass(slots=True)
class _List:
    """An open list; `number` is the next item's number, or None for a bulleted list."""

    number: int | None


class PageWriter:
    """A writer that collects inline text until its block ends, then appends it and records its span."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._line: list[str] = []
        self._lists: list[_List] = []
        self._marker: str | None = None
        self._after_item = False
        self._rows: list[str] | None = None
        self._cells: list[str] = []
        self.blocks: list[Block] = []
        self.headings: list[Heading] = []

    @property
    def text(self) -> str:
        """The canonical text so far, without the unfinished block."""
        return "".join(self._parts)

    def prose(self, text: str) -> None:
        """Append text to the current block; like a browser, collapse runs of white space to one space."""
        text = _BLANKS.sub(" ", text)
        if not self._line or self._line[-1][-1] in " \n":
            text = text.lstrip(" ")
        self.verbatim(text)

    def verbatim(self, text: str) -> None:
        """Append text to the current block unchanged."""
        if text:
            self._line.append(text)

    def line_break(self) -> None:
        """Add a hard line break within the current block."""
        self._line.append("\n")

    def end_block(self) -> None:
        """End the current paragraph or list item; inside a table cell, add a space instead."""
        if self._rows is not None:
            self.prose(" ")
        elif text := self._take_line():
            self._write_paragraph(text)

    def heading(self, level: int, anchor: str | None) -> None:
        """Turn the text since the last block into a heading."""
        text = self._take_line().replace("\n", " ")
        if text:
            self._marker = None
            start = self._write("heading", text)
            self.headings.append(Heading(level=level, text=text, anchor=anchor, start=start))

    def block(self, kind: BlockKind, text: str) -> None:
        """Append a complete block with its spaces unchanged; inside a table cell, append it as prose."""
        if self._rows is not None:
            self.prose(text)
            return
        self.end_block()
        text = text.strip("\n").rstrip()
        if text:
            self._marker = None
            self._write(kind, text)

    def open_list(self, number: int | None) -> None:
        """Start a list; `number` is the first item's number, or None for a bulleted list."""
        self.end_block()
        self._lists.append(_List(number))

    def open_item(self) -> None:
        """Start a list item; an item without text leaves no bullet."""
        self.end_block()
        if self._rows is not None:
            return
        innermost = self._lists[-1] if self._lists else _List(None)
        if innermost.number is None:
            self._marker = "- "
        else:
            self._marker = f"{innermost.number}. "
            innermost.number += 1

    def close_list(self) -> None:
        """End the innermost list and its last item."""
        self.end_block()
        self._marker = None
        if self._lists:
            self._lists.pop()
        if not self._lists:
            self._after_item = False

    def open_table(self) -> None:
        """Start a table; until it is closed, blocks become text of the current cell."""
        self.end_block()
        self._rows = []

    def end_cell(self) -> None:
        """Turn the text since the last cell into a cell, on one line."""
        self._cells.append(self._take_line().replace("\n", " "))

    def end_row(self) -> None:
        """End the row; drop it if all its cells are empty."""
        if self._rows is not None and any(self._cells):
            self._rows.append(" | ".join(self._cells).strip())
        self._cells = []

    def close_table(self) -> None:
        """Append the table, one row per line."""
        rows, self._rows = self._rows, None
        self.block("table", "\n".join(rows or ()))

    def _take_line(self) -> str:
        lines = (line.strip() for line in "".join(self._line).split("\n"))
        self._line.clear()
        return "\n".join(line for line in lines if line)

    def _write_paragraph(self, text: str) -> None:
        depth = min(len(self._lists), _DEEPEST_INDENT)
        if self._marker is None:
            self._write("prose", text, indent="  " * depth)
        else:
            marker, self._marker = self._marker, None
            self._write("item", marker + text, indent="  " * max(depth - 1, 0))

    def _write(self, kind: BlockKind, text: str, indent: str = "") -> int:
        """Append a block and return its start: the offset of its first character that is not white space."""
        separator = "\n" if kind == "item" and self._after_item else "\n\n"
        whole = (separator if self._parts else "") + indent + text
        start = self._length + len(whole) - len(whole.lstrip())
        self._parts.append(whole)
        self._length += len(whole)
        self._after_item = kind == "item"
        self.blocks.append(Block(kind=kind, start=start, end=self._length))
        return start
