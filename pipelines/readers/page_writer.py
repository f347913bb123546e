"""Canonical text as it grows: every offset is noted while its text is written, never searched for."""

import re
from dataclasses import dataclass

from pipelines.readers.page import Block, BlockKind, Heading

# What a browser collapses to one space; a no-break space is not among them.
_BLANKS = re.compile(r"[ \t\n\r\f]+")
# Deeper lists are written flat: ten thousand nested lists must not write a gigabyte of spaces.
_DEEPEST_INDENT = 8


@dataclass(slots=True)
class _List:
    """An open list; `number` is the next item's, None when it is bulleted."""

    number: int | None


class PageWriter:
    """Collects inline text until its block ends, then writes the block and notes where it went."""

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
        """The canonical text so far; a block that has not ended is not in it."""
        return "".join(self._parts)

    def prose(self, text: str) -> None:
        """Adds to the current block as a browser would: runs of white space become one space."""
        text = _BLANKS.sub(" ", text)
        if not self._line or self._line[-1][-1] in " \n":
            text = text.lstrip(" ")
        self.verbatim(text)

    def verbatim(self, text: str) -> None:
        """Adds to the current block exactly as it is."""
        if text:
            self._line.append(text)

    def line_break(self) -> None:
        """A hard break: what follows starts on a line of its own, in the same block."""
        self._line.append("\n")

    def end_block(self) -> None:
        """Ends the paragraph or list item that is being written; in a table cell, only the word."""
        if self._rows is not None:
            self.prose(" ")
        elif text := self._take_line():
            self._write_paragraph(text)

    def heading(self, level: int, anchor: str | None) -> None:
        """Makes a heading of what was written since the last block."""
        text = self._take_line().replace("\n", " ")
        if text:
            self._marker = None
            start = self._write("heading", text)
            self.headings.append(Heading(level=level, text=text, anchor=anchor, start=start))

    def block(self, kind: BlockKind, text: str) -> None:
        """Writes lines that are a block already, spaces and all; in a table cell, on its line."""
        if self._rows is not None:
            self.prose(text)
            return
        self.end_block()
        text = text.strip("\n").rstrip()
        if text:
            self._marker = None
            self._write(kind, text)

    def open_list(self, number: int | None) -> None:
        """`number` is the first item's; None is a bulleted list."""
        self.end_block()
        self._lists.append(_List(number))

    def open_item(self) -> None:
        """Starts an item; without text of its own it leaves no bullet behind."""
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
        """Ends the innermost list and its last item."""
        self.end_block()
        self._marker = None
        if self._lists:
            self._lists.pop()
        if not self._lists:
            self._after_item = False

    def open_table(self) -> None:
        """Until it is closed, blocks are words of a cell."""
        self.end_block()
        self._rows = []

    def end_cell(self) -> None:
        """What was written since the last one is a cell, on one line."""
        self._cells.append(self._take_line().replace("\n", " "))

    def end_row(self) -> None:
        """A row with nothing in it is not written: readers do not see it."""
        if self._rows is not None and any(self._cells):
            self._rows.append(" | ".join(self._cells).strip())
        self._cells = []

    def close_table(self) -> None:
        """Writes the rows, one a line."""
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
        """Returns where the block starts: at its first character that is not white space."""
        separator = "\n" if kind == "item" and self._after_item else "\n\n"
        whole = (separator if self._parts else "") + indent + text
        start = self._length + len(whole) - len(whole.lstrip())
        self._parts.append(whole)
        self._length += len(whole)
        self._after_item = kind == "item"
        self.blocks.append(Block(kind=kind, start=start, end=self._length))
        return start
