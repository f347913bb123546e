"""Make a model's Markdown safe while it streams: links only to what is cited, no images, no raw HTML.

Passages can contain instructions, and a model may follow them. Even then, the Markdown that reaches the
reader links to nothing else, loads nothing and runs nothing, in any CommonMark or GFM renderer. Links and
tags that are not allowed are shown as text; code is unchanged.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.chat.answer.allowed_links import AllowedLinks
from app.chat.answer.blocks import BlockParser
from app.text.autolinks import find_address, may_hold_address
from app.text.markers import Marker, Piece
from storage.domain import Passage

_MARKER_PLACEHOLDER = "\ufdd0"
"""Placeholder for a marker in a line: a Unicode noncharacter, which does not occur in text."""
_LONGEST_RUN = 500
"""Longest run of backticks that can delimit code; a longer run is text."""
_WORD = r"(?:[^\W_]|[\"#$%&'()*+,\-./:;=?@^_{}~!]|\\[@.:/_+~&;*#=?%\-])"
_TOKEN = re.compile(
    rf"(?P<space>\s+)"
    rf"|(?P<word>{_WORD}{{1,500}})"
    rf"|(?P<ticks>`{{1,{_LONGEST_RUN}}})"
    rf"|(?P<escape>\\[!-/:-@\[-`{{-~])"
    rf"|(?P<other>[^\x00-\x7f{_MARKER_PLACEHOLDER}]+|.)",
    re.ASCII | re.DOTALL,
)
_ADDRESS_REST = re.compile(rf"(?:{_WORD}|\w){{0,2000}}")
"""The rest of an address, in any script."""
_TICKS = re.compile(r"`+")
_CODE_BAR = re.compile(r"(?<!\\)(?:\\\\)*\|")
_TARGET = re.compile(rf"\(([^\s()<>\"'`|\\\[\]{_MARKER_PLACEHOLDER}]{{0,2000}})")
_AUTOLINK = re.compile(
    rf"<([a-z]{{1,30}}(?::[^\s<>`\\{_MARKER_PLACEHOLDER}]{{0,2000}})?)", re.IGNORECASE
)
_TAG = re.compile(r"[A-Za-z/!?]")
_LABEL_BREAKS = re.compile(rf"[\[\]`<>|\\{_MARKER_PLACEHOLDER}]")
_LINE_START = re.compile(r"[\s>]*(?:(?:[-*+]|\d{1,9}[.)])\s[\s>]*)*\Z")
_PLAIN_TAIL = re.compile(r"[.,)]*\Z")
_WORD_BREAK = re.compile(rf"[\s`<>|\[\]{_MARKER_PLACEHOLDER}]")
_LONGEST_CODE = 2_000
_LONGEST_LEFT = 300
_LONGEST_LABEL = 1_000
_LONGEST_START = 500
"""Number of characters that decide how a line begins."""
_LONGEST_LINE = 8_000
"""Longest line that is kept in memory, in characters; of a longer one only the end is kept."""


@dataclass(frozen=True, slots=True)
class _PendingLink:
    """A link that becomes live when one of these passages is cited, and text otherwise."""

    link: str
    text: str
    passages: frozenset[int]


class Sanitizer:
    """A streaming filter that returns words and markers made safe, in order, however the words are split.

    A link is decided when its passage is cited, or at the end of its paragraph.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._targets = AllowedLinks(passages)
        self._blocks = BlockParser()
        self._cited: set[int] = set()
        self._line = ""
        """The current line, as far as it has arrived."""
        self._position = 0
        """Number of characters of the line that have been processed."""
        self._word_start = 0
        """Offset where the run of words begins that the next word continues without a space."""
        self._kind: str | None = None
        """The kind of the line; None until it is known."""
        self._has_strikethrough = False
        """Whether the paragraph has `~~` outside of code, which mistune parses before code."""
        self._last_character = ""
        """The last character that was written."""
        self._markers: deque[Marker] = deque()
        self._ready: list[Piece] = []
        self._pending: deque[Piece | _PendingLink] = deque()
        """The first undecided link and everything written after it."""

    def feed(self, piece: Piece) -> Iterator[Piece]:
        """Process the next piece and yield the output that is certain now."""
        if isinstance(piece, Marker):
            self._cited.update(piece.numbers)
            self._markers.append(piece)
            piece = _MARKER_PLACEHOLDER
        else:
            piece = piece.replace(_MARKER_PLACEHOLDER, "")
        *lines, rest = piece.split("\n")
        for line in lines:
            self._line += line
            self._read(whole=True)
            self._end_line()
        self._line += rest
        if self._line:
            self._read(whole=False)
        if self._position > _LONGEST_LINE:
            self._drop_prefix(self._position - _LONGEST_LABEL)
        yield from self._flush()

    def close(self) -> Iterator[Piece]:
        """Close an open block of code and yield everything that was held back."""
        if self._line:
            self._read(whole=True)
        if self._blocks.fence is not None:
            self._write("\n" if self._last_character != "\n" else "")
            self._write(self._blocks.close())
        self._line, self._position, self._word_start, self._kind = "", 0, 0, None
        self._resolve_pending()
        yield from self._flush()

    def _read(self, *, whole: bool) -> None:
        while self._kind is None:
            is_cut = len(self._line) > _LONGEST_START
            head = self._line[:_LONGEST_START]
            began = self._blocks.parse_line_start(head, is_complete=whole or is_cut, is_cut=is_cut)
            if began is None:
                return
            self._write_code(began.text)
            self._position = began.length
            if began.kind != "prose":
                self._resolve_pending()
            has_ended = began.kind == "prose" and began.text.endswith("\n")
            self._kind = None if has_ended else began.kind
        if self._kind == "prose":
            self._read_prose(whole=whole)
        elif self._position < len(self._line):
            self._write_code(self._line[self._position :])
            self._position = len(self._line)

    def _drop_prefix(self, length: int) -> None:
        """Drop the first `length` characters of a long line, so that the cost per piece stays constant."""
        self._line = self._line[length:]
        self._position -= length
        self._word_start = max(self._word_start - length, 0)

    def _end_line(self) -> None:
        self._write("\n")
        self._line, self._position, self._word_start, self._kind = "", 0, 0, None

    def _read_prose(self, *, whole: bool) -> None:
        while self._position < len(self._line):
            token = _TOKEN.match(self._line, self._position)
            assert token is not None
            length = self._read_token(token, whole=whole)
            if length == 0:
                return
            for end in _WORD_BREAK.finditer(self._line, self._position, self._position + length):
                self._word_start = end.end()
            self._position += length

    def _read_token(self, token: re.Match[str], *, whole: bool) -> int:
        """Write a token and return the number of characters consumed; 0 if more of the line is needed."""
        kind, text = token.lastgroup, token[0]
        is_last = token.end() == len(self._line) and not whole
        if kind == "word":
            return self._write_word(token, is_last=is_last, whole=whole)
        if kind == "ticks":
            return self._write_inline_code(token, whole=whole)
        if is_last and text in ("\\", "]", "<"):
            return 0
        if text == "]":
            return self._write_bracket(whole=whole)
        if text == "<":
            return self._write_angle_bracket(whole=whole)
        if text == "[" and self._line[max(self._position - 1, 0) : self._position] == "!":
            text = "\\["
        self._write_code("&lt;" if text == "\\<" else text)
        return token.end() - token.start()

    def _write_word(self, token: re.Match[str], *, is_last: bool, whole: bool) -> int:
        word = token[0]
        if word[0] in "(:" and self._follows_marker(word[0]):
            self._write(f"\\{word[0]}")
            return 1
        before = self._line[max(self._word_start, self._position - _LONGEST_LEFT) : self._position]
        if may_hold_address(before + word):
            rest = _ADDRESS_REST.match(self._line, token.end())
            end = rest.end() if rest else token.end()
            if end == len(self._line) and not whole:
                return 0
            self._write_address(before, self._line[self._position : end])
            return end - self._position
        if is_last:
            return 0
        self._has_strikethrough |= "~~" in word
        self._write(word)
        return len(word)

    def _follows_marker(self, character: str) -> bool:
        """Return whether the character would turn the marker before it into a link or a definition.

        A parenthesis would make a link, a colon at the beginning of a line a link reference definition.
        """
        if not self._position or self._line[self._position - 1] != _MARKER_PLACEHOLDER:
            return False
        return character == "(" or self._begins_line(self._position - 1)

    def _write_address(self, before: str, word: str) -> None:
        """Write a word that may hold an address; `before` is the text just before it, already written."""
        found = find_address(before + word)
        if found is None or found[1] <= len(before):
            self._write(word)
            return
        start, end = (max(at - len(before), 0) for at in found)
        address, tail = word[start:end], word[end:]
        self._write(word[:start])
        starts_here = found[0] >= len(before)
        passages = self._targets.passages_allowing(address) if starts_here else frozenset[int]()
        as_code = self._as_code(address, end=self._position + end)
        live = f"<{address}>" if "://" in address and self._last_character != "\\" else as_code
        if _PLAIN_TAIL.match(tail) and self._line[self._position + len(word) :][:1] in (
            "",
            " ",
            "\t",
        ):
            live = address
        self._write_link(live, as_code, passages)
        self._write(tail)

    def _as_code(self, address: str, end: int) -> str:
        """Return an address as inline code, with a space where a neighbour would break the code."""
        gap = " " if self._last_character in ("`", "\\") else ""
        after = " " if self._line[end : end + 1] == "`" else ""
        return f"{gap}`{address.replace('~~', '%7E%7E')}`{after}"

    def _write_link(self, live: str, text: str, passages: frozenset[int]) -> None:
        if passages & self._cited:
            self._write(live)
        elif passages:
            self._pending.append(_PendingLink(live, text, passages))
            self._last_character = "`"
        else:
            self._write(text)

    def _write_inline_code(self, opening: re.Match[str], *, whole: bool) -> int:
        """Write inline code; backticks without a closing run are escaped."""
        run, limit = opening[0], opening.end() + _LONGEST_CODE
        if len(run) == _LONGEST_RUN:
            self._write("\\`" * len(run))
            return len(run)
        others = _TICKS.finditer(self._line, opening.end(), limit)
        # A run that continues past the limit does not have this length.
        closing = next((one for one in others if one[0] == run and one.end() < limit), None)
        if not whole and (closing or opening).end() == len(self._line):
            return 0  # the run may continue
        if closing is None and not whole and len(self._line) < limit:
            return 0
        bar = closing and _CODE_BAR.search(self._line, opening.end(), closing.start())
        strikes = (
            closing
            and self._has_strikethrough
            and "~~" in self._line[self._position : closing.end()]
        )
        if closing is None or strikes or (bar and self._blocks.in_table):
            self._write("\\`" * len(run))
            return len(run)
        if bar:
            self._blocks.follows_code_with_bar = True
        self._write(" " if self._last_character == "`" else "")
        self._write_code(self._line[self._position : closing.end()])
        return closing.end() - self._position

    def _write_bracket(self, *, whole: bool) -> int:
        following = self._line[self._position + 1 : self._position + 2]
        if following == ":" and self._may_define():
            self._write("]\\:")
            return 2
        if following != "(":
            self._write("]")
            return 1
        target = _TARGET.match(self._line, self._position + 1)
        assert target is not None
        if target.end() == len(self._line) and not whole:
            return 0
        passages = frozenset[int]()
        if self._line[target.end() : target.end() + 1] == ")" and self._has_plain_label():
            passages = self._targets.passages_allowing_link(target[1])
        if not passages:
            self._write("\\]")
            return 1
        text = self._as_code(target[1], end=target.end())
        self._write_link(f"]({target[1]})", f"\\]({text})", passages)
        return target.end() + 1 - self._position

    def _has_plain_label(self) -> bool:
        """Return whether the closing bracket has an opening one in its line with only text in between."""
        opening = self._line.rfind("[", max(self._position - _LONGEST_LABEL, 0), self._position)
        if opening < 0 or _LABEL_BREAKS.search(self._line, opening + 1, self._position):
            return False
        return self._line[opening - 1 : opening] not in ("!", "\\") if opening else True

    def _may_define(self) -> bool:
        """Return whether a bracket and a colon here could be a link reference definition."""
        opening = self._line.rfind("[", max(self._position - _LONGEST_LABEL, 0), self._position)
        return opening < 0 or self._begins_line(opening)

    def _begins_line(self, position: int) -> bool:
        """Return whether only white space, list markers and block quote markers come before it."""
        return position < _LONGEST_START and _LINE_START.match(self._line, 0, position) is not None

    def _write_angle_bracket(self, *, whole: bool) -> int:
        if not _TAG.match(self._line, self._position + 1):
            self._write("<")
            return 1
        link = _AUTOLINK.match(self._line, self._position)
        if link and link.end() == len(self._line) and not whole:
            return 0
        passages = frozenset[int]()
        if link and self._line[link.end() : link.end() + 1] == ">":
            passages = self._targets.passages_allowing_link(link[1])
        if link is None or not passages:
            self._write("&lt;")
            return 1
        self._write_link(f"{link[0]}>", f"&lt;{self._as_code(link[1], link.end())}>", passages)
        return link.end() + 1 - self._position

    def _write(self, text: str) -> None:
        if text:
            self._append(text)
            self._last_character = text[-1]

    def _write_code(self, text: str) -> None:
        """Write text unchanged, with each placeholder replaced by its marker."""
        for index, part in enumerate(text.split(_MARKER_PLACEHOLDER)):
            if index:
                self._append(self._markers.popleft())
                self._last_character = "]"
            self._write(part)

    def _append(self, piece: Piece) -> None:
        if self._pending:
            self._pending.append(piece)
        else:
            self._ready.append(piece)

    def _resolve_pending(self) -> None:
        """End the paragraph: links whose passages were not cited become text."""
        self._has_strikethrough = False
        self._ready += map(self._resolve, self._pending)
        self._pending.clear()

    def _resolve(self, piece: "Piece | _PendingLink") -> Piece:
        if not isinstance(piece, _PendingLink):
            return piece
        return piece.link if piece.passages & self._cited else piece.text

    def _flush(self) -> Iterator[Piece]:
        while self._pending and not self._is_unresolved(self._pending[0]):
            self._ready.append(self._resolve(self._pending.popleft()))
        ready, self._ready = self._ready, []
        yield from ready

    def _is_unresolved(self, piece: "Piece | _PendingLink") -> bool:
        return isinstance(piece, _PendingLink) and not piece.passages & self._cited
