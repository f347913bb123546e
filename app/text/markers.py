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
        self._held = ""
        self._space = ""
        self._closing = ""
        """The run of backticks or tildes that closes the current code; empty outside of code."""
        self._fenced = False
        self._fresh = True
        """Whether the line has only white space so far."""
        self._tail = ""
        """The end of the prose returned since the last marker, if it contains an opening bracket."""

    def feed(self, delta: str) -> Iterator[Piece]:
        """Process the next delta and yield the pieces that are certain now."""
        self._held += delta
        return self._scan(final=False)

    def close(self) -> Iterator[Piece]:
        """Yield what was held back, at the end of the stream."""
        yield from self._scan(final=True)
        yield from self._released_space()

    def _scan(self, *, final: bool) -> Iterator[Piece]:
        position = 0
        while match := _PIECE.match(self._held, position):
            piece = match.group()
            if piece in "[【" and not self._closing:
                marker = _MARKER.match(self._held, position)
                if marker:
                    position = marker.end()
                    yield from self._mark(marker.group(1))
                    continue
                if not final and _UNFINISHED.match(self._held, position):
                    break
            elif piece[0] in "`~" and match.end() == len(self._held) and not final:
                break  # the run may continue
            position = match.end()
            yield from self._say(piece)
        rest = self._held[position:]
        self._held = rest
        if final and rest:  # a backslash at the very end
            self._held = ""
            yield from self._say(rest)

    def _mark(self, numbers: str) -> Iterator[Piece]:
        known = [int(n) for n in re.findall(r"\d+", numbers) if int(n) in self._known]
        if not known:
            self._space = "" if "\n" not in self._space else self._space
            return
        yield from self._released_space()
        yield Marker(tuple(dict.fromkeys(known)))
        self._fresh, self._tail = False, ""

    def _say(self, piece: str) -> Iterator[Piece]:
        if piece.isspace():
            self._space += piece
            if "\n" in piece and not self._fenced:
                self._closing = ""  # inline code ends with its line
            self._fresh = self._fresh or "\n" in piece
            if len(self._space) > _LONGEST_SPACE:
                yield from self._released_space()
            return
        if piece[0] in "`~":
            self._toggle(piece)
        yield from self._released_space()
        yield self._guarded(piece)
        self._fresh = False

    def _toggle(self, run: str) -> None:
        if self._closing:
            longer = self._fenced and self._fresh and run.startswith(self._closing)
            if longer or (not self._fenced and run == self._closing):
                self._closing, self._fenced = "", False
        elif self._fresh and len(run) >= _FENCE_LENGTH:
            self._closing, self._fenced = run, True
        elif run[0] == "`":
            self._closing = run

    def _guarded(self, piece: str) -> str:
        """Escape text that would form a new marker around a removed one, such as `[9[8]]`."""
        if self._closing:
            self._tail = ""
            return piece
        if not self._tail and piece[0] not in "[【":
            return piece
        known = len(self._tail)
        safe = _MARKER.sub(lambda m: f"{m[0][:-1]}\\{m[0][-1]}", self._tail + piece)[known:]
        self._remember(safe)
        return safe

    def _remember(self, said: str) -> None:
        tail = (self._tail + said)[-_LONGEST:]
        self._tail = tail if "[" in tail or "【" in tail else ""

    def _released_space(self) -> Iterator[Piece]:
        if self._space:
            self._remember(self._space)
            yield self._space
            self._space = ""
