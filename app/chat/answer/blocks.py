"""Decide line by line which lines of a growing Markdown text are code, only where all renderers agree."""

import re
from dataclasses import dataclass
from typing import Literal

_MARKS = re.compile(r"(?P<space>[ \t]+)|(?P<quote>>)|(?P<item>(?:[-*+]|\d{1,9}[.)])(?=[ \t]|\Z))")
_UNDECIDED = re.compile(r"(?:[-*+]|\d{1,9}[.)]?|`{1,2}|~{1,2}|`{3,}[^\n]*|~{3,}[^\n]*|)\Z")
_FENCE = re.compile(r"(?P<run>`{3,}|~{3,})(?P<info>[^`~<>\[\]!@:/\\|\ufdd0]*)\Z")
_TILDES = re.compile(r"~{3,}")
_DELIMITER_ROW = re.compile(r"[|:\-> \t]*-[|:\-> \t]*\Z")
_DELIMITERS = re.compile(r"[|:\-> \t]*\Z")
_MOST_INDENT = 3
_CODE_INDENT = 4
_MOST_ITEM_SPACE = 4

LineKind = Literal["prose", "code", "blank"]


@dataclass(frozen=True, slots=True)
class Fence:
    """An open block of code: `prefix` begins each of its lines, and `run` is the fence that opened it."""

    prefix: str
    run: str


@dataclass(frozen=True, slots=True)
class MarkdownLine:
    """The beginning of a line: `text` is written instead of its first `length` characters."""

    kind: LineKind
    length: int = 0
    text: str = ""


class BlockParser:
    """A line parser that keeps track of lists, tables and blocks of code.

    A fence opens a block only where every renderer reads it as a fence. Any other is escaped, so that no
    renderer sees a fence. Lines of a code block in a list are indented if they lack the list's indentation.
    """

    def __init__(self) -> None:
        self.fence: Fence | None = None
        self.in_table = False
        self.follows_code_with_bar = False
        """Whether the line before has code with a bar, so that it must not become a table header."""
        self._items: list[int] = []
        """The columns where the content of each open list item begins."""
        self._had_items = False
        self._is_first = True
        self._was_blank = True
        self._was_indented = False

    def parse_line_start(
        self, line: str, *, is_complete: bool, is_cut: bool = False
    ) -> MarkdownLine | None:
        """Parse the beginning of a line; return None while too little of the line is known.

        After None, call it again with more of the line; after a result, with the next line. If `is_cut` is
        true, `line` is the first part of a line that is too long to be a fence or a table's delimiter row.
        """
        if self.fence:
            return self._parse_in_fence(self.fence, line, whole=is_complete, is_cut=is_cut)
        if not line.strip(" \t") and not is_cut:
            return self._parse_blank_line(line) if is_complete else None
        prefix, rest = _split_prefix(line)
        if not is_complete and (_UNDECIDED.match(rest) or self._may_be_delimiter_row(line)):
            return None
        began = None if is_cut else self._parse_fence(prefix, rest, line)
        began = began or self._parse_indented_code(line) or self._parse_prose(prefix, rest, line)
        self._is_first = False
        self._was_indented = began.kind == "code" and self.fence is None
        self._was_blank = False
        return began

    def close(self) -> str:
        """Return the line that closes the open block of code; empty when no block is open."""
        fence, self.fence = self.fence, None
        return f"{fence.prefix}{fence.run}" if fence else ""

    def _parse_blank_line(self, line: str) -> MarkdownLine:
        self._was_blank, self.in_table, self.follows_code_with_bar = True, False, False
        # The line is written empty, because mistune does not treat a line with a tab as blank.
        return MarkdownLine("blank", len(line), "")

    def _parse_in_fence(
        self, fence: Fence, line: str, *, whole: bool, is_cut: bool
    ) -> MarkdownLine | None:
        body = line.removeprefix(fence.prefix)
        if not whole and (len(line) < len(fence.prefix) or not body.strip(f" \t{fence.run[0]}")):
            return None
        is_inside = line.startswith(fence.prefix)
        if ">" in fence.prefix and not is_inside and line.rstrip(" \t") != fence.prefix.rstrip():
            # The block quote has ended, and with it the code.
            return MarkdownLine("prose", 0, f"{self.close()}\n")
        if not is_inside:
            body = line.lstrip(" ") if line[: len(fence.prefix)].strip(" ") else ""
        if is_cut and not body.strip(f" \t{fence.run[0]}"):
            return MarkdownLine("code", len(line) - len(body), f"{fence.prefix}\\")
        if _closes_fence(body, fence.run):
            self.fence = None
            return MarkdownLine("code", len(line), fence.prefix + fence.run)
        if not body.strip(" \t"):
            return MarkdownLine("code", len(line), line)
        return MarkdownLine("code", len(line) - len(body), fence.prefix)

    def _parse_fence(self, prefix: str, rest: str, line: str) -> MarkdownLine | None:
        opening = _FENCE.match(rest)
        if opening is None or not self._is_unambiguous(prefix):
            return None
        self._open_items(prefix)
        inside = re.sub(r"[-*+]|\d{1,9}[.)]", lambda mark: " " * len(mark[0]), prefix)
        self.fence = Fence(inside, opening["run"])
        self._was_blank = self.in_table = self.follows_code_with_bar = False
        return MarkdownLine("code", len(line), line)

    def _is_unambiguous(self, prefix: str) -> bool:
        """Return whether every renderer reads a fence after this prefix as a fence."""
        if "\t" in prefix:
            return False
        marks = [*_MARKS.finditer(prefix)]
        if not any(mark.lastgroup != "space" for mark in marks):
            return self._is_at_content_indent(len(prefix))
        first = marks[0]
        if first.lastgroup == "space" and not self._is_at_content_indent(len(first[0])):
            return False
        last = marks[-1][0] if marks[-1].lastgroup == "space" else ""
        items = [mark[0] for mark in marks if mark.lastgroup == "item"]
        return (
            all(map(self._may_interrupt, items))
            and len(items) <= 1
            and len(last) <= _MOST_ITEM_SPACE
        )

    def _is_at_content_indent(self, indent: int) -> bool:
        """Return whether the indent is at the left margin or at the content of an open list item."""
        return indent <= _MOST_INDENT or any(0 <= indent - at <= _MOST_INDENT for at in self._items)

    def _parse_indented_code(self, line: str) -> MarkdownLine | None:
        """Return the line as indented code, unless it could belong to a list that has begun."""
        follows = (self._was_blank and not self._is_first) or self._was_indented
        if self._had_items or not follows or not line.startswith(" " * _CODE_INDENT):
            return None
        return MarkdownLine("code", 0, "")

    def _parse_prose(self, prefix: str, rest: str, line: str) -> MarkdownLine:
        self._open_items(prefix)
        if not rest:
            # An item without content may be the underline of a heading instead.
            self._items.clear()
        if self._may_be_delimiter_row(line) and _DELIMITER_ROW.match(line):
            self.in_table = not self.follows_code_with_bar
            if self.follows_code_with_bar:
                self.follows_code_with_bar = False
                start = len(line) - len(line.lstrip("> \t"))
                return MarkdownLine("prose", start + 1, f"{line[:start]}\\{line[start]}")
        self.follows_code_with_bar = False
        tildes = _TILDES.match(rest)
        if tildes:
            return MarkdownLine("prose", len(prefix) + tildes.end(), prefix + "\\~" * tildes.end())
        return MarkdownLine("prose", len(prefix), prefix)

    def _may_be_delimiter_row(self, line: str) -> bool:
        """Return whether the line could be the delimiter row of a table."""
        return not self._was_blank and _DELIMITERS.match(line) is not None

    def _open_items(self, prefix: str) -> None:
        """Close the list items that are indented further than the line, and open those that it begins."""
        column = len(prefix) - len(prefix.lstrip(" "))
        self._items = [at for at in self._items if at <= column]
        if ">" in prefix:
            self._items.clear()
            self._had_items = True
            return
        for mark in _MARKS.finditer(prefix):
            if mark.lastgroup != "item":
                continue
            self._had_items = True
            if not self._may_interrupt(mark[0]):
                return
            spaces = len(prefix[mark.end() :]) - len(prefix[mark.end() :].lstrip(" "))
            is_code = spaces > _MOST_ITEM_SPACE
            self._items.append(mark.end() + (1 if is_code else spaces))
            if is_code:
                return

    def _may_interrupt(self, mark: str) -> bool:
        """Return whether a list can begin here; inside a paragraph, a numbered list must begin with 1."""
        return self._was_blank or bool(self._items) or not mark[:-1] or mark[:-1] == "1"


def _split_prefix(line: str) -> tuple[str, str]:
    """Split a line into its prefix (white space, block quote and list markers) and the rest."""
    end = 0
    while mark := _MARKS.match(line, end):
        end = mark.end()
    return line[:end], line[end:]


def _closes_fence(body: str, run: str) -> bool:
    """Return whether a line closes a fence.

    Renderers disagree about a closing fence after a tab; it counts as one and is written without the tab.
    """
    stripped = body.strip(" \t")
    blanks = body[: len(body) - len(body.lstrip(" \t"))]
    is_run = len(stripped) >= len(run) and set(stripped) == {run[0]}
    return is_run and (len(blanks) <= _MOST_INDENT or "\t" in blanks)
