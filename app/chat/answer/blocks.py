"""Which lines of a growing Markdown text are code, told line by line and only where all renderers agree."""

import re
from dataclasses import dataclass
from typing import Literal

_MARKS = re.compile(r"(?P<space>[ \t]+)|(?P<quote>>)|(?P<item>(?:[-*+]|\d{1,9}[.)])(?=[ \t]))")
_UNDECIDED = re.compile(r"(?:[-*+]|\d{1,9}[.)]?|`{1,2}|~{1,2}|`{3,}[^\n]*|~{3,}[^\n]*|)\Z")
_FENCE = re.compile(r"(?P<run>`{3,}|~{3,})(?P<info>[^`~<>\[\]!@:/\\|\ufdd0]*)\Z")
_TILDES = re.compile(r"~{3,}")
_DELIMITER_ROW = re.compile(r"[|:\-> \t]*-[|:\-> \t]*\Z")
_DELIMITERS = re.compile(r"[|:\-> \t]*\Z")
_MOST_INDENT = 3
_CODE_INDENT = 4
_MOST_ITEM_SPACE = 4

Kind = Literal["prose", "code", "blank"]


@dataclass(frozen=True, slots=True)
class Fence:
    """An open block of code: `prefix` begins each of its lines, `run` opened it."""

    prefix: str
    run: str


@dataclass(frozen=True, slots=True)
class MarkdownLine:
    """How a line begins: `text` is written instead of its first `length` characters."""

    kind: Kind
    length: int = 0
    text: str = ""


class Blocks:
    """Follows lists, tables and blocks of code.

    A fence counts if it cannot be taken for anything else where it stands; any other is escaped, so
    that no renderer sees one. Lines of a fence in a list that lack its indentation get it.
    """

    def __init__(self) -> None:
        self.fence: Fence | None = None
        self.in_table = False
        self.is_risky = False
        """The line before has code with a bar: it must not become the head of a table."""
        self._items: list[int] = []
        """Columns where the contents of the open list items begin."""
        self._had_items = False
        self._is_first = True
        self._was_blank = True
        self._was_indented = False

    def begin(self, line: str, *, whole: bool, is_cut: bool = False) -> MarkdownLine | None:
        """How a line begins; None while too little of it is there. Call it once for each line.

        A line that is cut goes on, and is too long for a fence or the row under the head of a table.
        """
        if self.fence:
            return self._begin_in(self.fence, line, whole=whole, is_cut=is_cut)
        if not line.strip(" \t") and not is_cut:
            return self._blank(line) if whole else None
        prefix, rest = _split(line)
        if not whole and (_UNDECIDED.match(rest) or self._may_delimit(line)):
            return None
        began = None if is_cut else self._fence(prefix, rest, line)
        began = began or self._indented(line) or self._prose(prefix, rest, line)
        self._is_first = False
        self._was_indented = began.kind == "code" and self.fence is None
        self._was_blank = False
        return began

    def close(self) -> str:
        """The line that ends an open block of code; empty when there is none."""
        fence, self.fence = self.fence, None
        return f"{fence.prefix}{fence.run}" if fence else ""

    def _blank(self, line: str) -> MarkdownLine:
        self._was_blank, self.in_table, self.is_risky = True, False, False
        return MarkdownLine("blank", len(line), "")  # to mistune, a line with a tab is not blank

    def _begin_in(
        self, fence: Fence, line: str, *, whole: bool, is_cut: bool
    ) -> MarkdownLine | None:
        body = line.removeprefix(fence.prefix)
        if not whole and (len(line) < len(fence.prefix) or not body.strip(f" \t{fence.run[0]}")):
            return None
        is_inside = line.startswith(fence.prefix)
        if ">" in fence.prefix and not is_inside and line.strip(" \t") != fence.prefix.strip():
            return MarkdownLine(
                "prose", 0, f"{self.close()}\n"
            )  # the quotation has ended, and the code with it
        if not is_inside:
            body = line.lstrip(" ") if line[: len(fence.prefix)].strip(" ") else ""
        if is_cut and not body.strip(f" \t{fence.run[0]}"):
            return MarkdownLine("code", len(line) - len(body), f"{fence.prefix}\\")
        if _closes(body, fence.run):
            self.fence = None
            return MarkdownLine("code", len(line), fence.prefix + fence.run)
        if not body.strip(" \t"):
            return MarkdownLine("code", len(line), line)
        return MarkdownLine("code", len(line) - len(body), fence.prefix)

    def _fence(self, prefix: str, rest: str, line: str) -> MarkdownLine | None:
        opening = _FENCE.match(rest)
        if opening is None or not self._is_plain(prefix):
            return None
        self._open_items(prefix)
        inside = re.sub(r"[-*+]|\d{1,9}[.)]", lambda mark: " " * len(mark[0]), prefix)
        self.fence = Fence(inside, opening["run"])
        self._was_blank = self.in_table = self.is_risky = False
        return MarkdownLine("code", len(line), line)

    def _is_plain(self, prefix: str) -> bool:
        """Whether a fence behind this prefix is one for every renderer."""
        if "\t" in prefix:
            return False
        marks = [*_MARKS.finditer(prefix)]
        if not any(mark.lastgroup != "space" for mark in marks):
            return self._fits(len(prefix))
        first = marks[0]
        if first.lastgroup == "space" and not self._fits(len(first[0])):
            return False
        last = marks[-1][0] if marks[-1].lastgroup == "space" else ""
        items = [mark[0] for mark in marks if mark.lastgroup == "item"]
        return (
            all(map(self._may_interrupt, items))
            and len(items) <= 1
            and len(last) <= _MOST_ITEM_SPACE
        )

    def _fits(self, indent: int) -> bool:
        """At the left, or where the content of an open list item is."""
        return indent <= _MOST_INDENT or any(0 <= indent - at <= _MOST_INDENT for at in self._items)

    def _indented(self, line: str) -> MarkdownLine | None:
        """Indented code, where no list has begun that it could belong to."""
        follows = (self._was_blank and not self._is_first) or self._was_indented
        if self._had_items or not follows or not line.startswith(" " * _CODE_INDENT):
            return None
        return MarkdownLine("code", 0, "")

    def _prose(self, prefix: str, rest: str, line: str) -> MarkdownLine:
        self._open_items(prefix)
        if self._may_delimit(line) and _DELIMITER_ROW.match(line):
            self.in_table = not self.is_risky
            if self.is_risky:
                self.is_risky = False
                start = len(line) - len(line.lstrip("> \t"))
                return MarkdownLine("prose", start + 1, f"{line[:start]}\\{line[start]}")
        self.is_risky = False
        tildes = _TILDES.match(rest)
        if tildes:
            return MarkdownLine("prose", len(prefix) + tildes.end(), prefix + "\\~" * tildes.end())
        return MarkdownLine("prose", len(prefix), prefix)

    def _may_delimit(self, line: str) -> bool:
        """Whether the line could be the one under the head of a table."""
        return not self._was_blank and _DELIMITERS.match(line) is not None

    def _open_items(self, prefix: str) -> None:
        """Close the list items that the line is left of, and open those that it begins."""
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
        """Whether a list can begin here: in mid-paragraph a numbered one begins with 1."""
        return self._was_blank or bool(self._items) or not mark[:-1] or mark[:-1] == "1"


def _split(line: str) -> tuple[str, str]:
    """Blanks, marks of quotations and of list items; and what follows."""
    end = 0
    while mark := _MARKS.match(line, end):
        end = mark.end()
    return line[:end], line[end:]


def _closes(body: str, run: str) -> bool:
    """A tab before it may make it the end or not: it is written as an end."""
    stripped = body.strip(" \t")
    blanks = body[: len(body) - len(body.lstrip(" \t"))]
    is_run = len(stripped) >= len(run) and set(stripped) == {run[0]}
    return is_run and (len(blanks) <= _MOST_INDENT or "\t" in blanks)
