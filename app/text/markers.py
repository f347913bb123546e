"""Find footnote markers in a stream of text, however the stream is split."""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker such as `[2]`, `[1, 3]` or `【2】` in the model's text: its known numbers, each once."""

    numbers: tuple[int, ...]


Piece = str | Marker

_PIECE = re.compile(r"\s+|`{1,1000}|~{1,1000}|\\.|[\[【]|[^\s`~\\\[【]+", re.DOTALL)
_MARKER = re.compile(r"[\[【]\s?\^?(\d{1,4}(?:\s?[,;]\s?\^?\d{1,4}){0,9})\s?[\]】]")
_UNFINISHED = re.compile(r"[\[【][\s\d,;^]{0,80}\Z")
_FENCE_LENGTH = 3
_LONGEST = 80
_LONGEST_SPACE = 1_000
"""Longest white space, in characters, that is held back in case a marker that is removed follows."""


class MarkerParser:
    """A streaming parser that splits deltas into text and markers, wherever the deltas begin and end.

    A marker with no known number is removed together with the space before it. Brackets in inline code,
    in a fenced block or after a backslash are text.
    """

    def __init__(self, known: Container[int]) -> None:
        self._known = known
        self._pending = ""
        self._space = ""
        self._code_delimiter = ""
        """The run of backticks or tildes that closes the current code; empty outside of code."""
        self._fenced = False
        self._is_line_start = True
        """Whether the line has only white space so far."""
        self._tail = ""
        """The end of the prose returned since the last marker, if it contains an opening bracket."""

    def feed(self, delta: str) -> Iterator[Piece]:
        """Process the next delta and yield the pieces that are certain now."""
        self._pending += delta
        return self._scan(final=False)

    def close(self) -> Iterator[Piece]:
        """Yield what was held back, at the end of the stream."""
        yield from self._scan(final=True)
        yield from self._flush_space()

    def _scan(self, *, final: bool) -> Iterator[Piece]:
        position = 0
        while match := _PIECE.match(self._pending, position):
            piece = match.group()
            if piece in "[【" and not self._code_delimiter:
                marker = _MARKER.match(self._pending, position)
                if marker:
                    position = marker.end()
                    yield from self._emit_marker(marker.group(1))
                    continue
                if not final and _UNFINISHED.match(self._pending, position):
                    break
            elif piece[0] in "`~" and match.end() == len(self._pending) and not final:
                break  # the run may continue
            position = match.end()
            yield from self._emit(piece)
        rest = self._pending[position:]
        self._pending = rest
        if final and rest:  # a backslash at the very end
            self._pending = ""
            yield from self._emit(rest)

    def _emit_marker(self, numbers: str) -> Iterator[Piece]:
        known = [int(n) for n in re.findall(r"\d+", numbers) if int(n) in self._known]
        if not known:
            self._space = "" if "\n" not in self._space else self._space
            return
        yield from self._flush_space()
        yield Marker(tuple(dict.fromkeys(known)))
        self._is_line_start, self._tail = False, ""

    def _emit(self, piece: str) -> Iterator[Piece]:
        if piece.isspace():
            self._space += piece
            if "\n" in piece and not self._fenced:
                self._code_delimiter = ""  # inline code ends with its line
            self._is_line_start = self._is_line_start or "\n" in piece
            if len(self._space) > _LONGEST_SPACE:
                yield from self._flush_space()
            return
        if piece[0] in "`~":
            self._toggle_code(piece)
        yield from self._flush_space()
        yield self._escape_false_marker(piece)
        self._is_line_start = False

    def _toggle_code(self, run: str) -> None:
        if self._code_delimiter:
            longer = self._fenced and self._is_line_start and run.startswith(self._code_delimiter)
            if longer or (not self._fenced and run == self._code_delimiter):
                self._code_delimiter, self._fenced = "", False
        elif self._is_line_start and len(run) >= _FENCE_LENGTH:
            self._code_delimiter, self._fenced = run, True
        elif run[0] == "`":
            self._code_delimiter = run

    def _escape_false_marker(self, piece: str) -> str:
        """Escape text that would form a new marker around a removed one, such as `[9[8]]`."""
        if self._code_delimiter:
            self._tail = ""
            return piece
        if not self._tail and piece[0] not in "[【":
            return piece
        known = len(self._tail)
        safe = _MARKER.sub(lambda m: f"{m[0][:-1]}\\{m[0][-1]}", self._tail + piece)[known:]
        self._remember_tail(safe)
        return safe

    def _remember_tail(self, text: str) -> None:
        tail = (self._tail + text)[-_LONGEST:]
        self._tail = tail if "[" in tail or "【" in tail else ""

    def _flush_space(self) -> Iterator[Piece]:
        if self._space:
            self._remember_tail(self._space)
            yield self._space
            self._space = ""
