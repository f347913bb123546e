"""Removes a model's thoughts, which some models write into their text in tags, from the answer."""

import re

_NAME = (
    r"(?:ant|(?:\w{1,20}[:_▁-]){1,2})?"
    r"(?:think(?:ing)?|thoughts?|reasoning|reflection|scratchpad|monologue|analysis|rationale|cot)"
    r"(?:[_-](?:process|content|block))?"
)
_TAG = re.compile(
    rf"[<◁][|｜]?(?P<close>/|end[_▁-](?:of[_▁-])?)?(?P<name>{_NAME})(?:\s[^<>\n]{{0,80}})?(?P<empty>/)?"
    r"[|｜]?[>▷]"
    r"|(?-i:\[(?P<close_bracket>/)?THINK(?:ING)?\])"
    # gpt-oss and Gemma write to channels; only the final channel is for the reader.
    r"|<\|channel\|>\s*(?:(?P<final>final)|\w+)[^<]{0,60}<\|message\|>"
    r"|<\|channel>\s*thought\b|(?P<end_channel><channel\|>)",
    re.IGNORECASE,
)
_UNFINISHED = re.compile(
    rf"[<◁][/|｜]{{0,2}}(?:[\w:▁-]{{0,50}}|{_NAME}\s[^<>\n]{{0,80}})/?[|｜]?\Z"
    r"|\[/?[A-Z]{0,8}\Z|<\|channel\|?>[^<]{0,80}(?:<[|\w]{0,8}\|?)?\Z",
    re.IGNORECASE,
)
_ANSWER_TAG = re.compile(
    r"<[|｜]?/?(?:(?:begin|end)_of_|start_|end_)?(?:final_)?(?:answer|response|solution|output)[|｜]?>",
    re.IGNORECASE,
)
"""Tags that some models put around the answer that follows their thoughts."""
_SPECIAL = re.compile(r"`+|~{3,}|\\.?|\n[ \t]*(?:\n|\Z)|[<◁\[]", re.DOTALL)
_MAY_MATTER = re.compile(r"[`~\\<◁\[]")
_FENCE_LENGTH = 3
_LONGEST_CODE = 2_000
"""The most characters to read after a tag in search of the end of inline code."""


class ThoughtFilter:
    """A filter that takes deltas and returns the words of the answer, however the text is split.

    A tag in code or after a backslash is text. A closing tag without an opening one means that all text
    before it was a thought: `is_discarded` is then true, and earlier text must be discarded. For a
    model that does so, `expected` holds its text back until the closing tag.
    """

    def __init__(self, *, expected: bool = False) -> None:
        self._expected = expected
        self.is_discarded = False
        self.closed_without_opening = False
        """Whether words came before a closing tag that has no opening tag."""
        self._has_seen_tag = False
        self._open: list[str] = []
        """Names of the open tags around the current thought, outermost first."""
        self._pending = ""
        """Text that cannot be classified yet."""
        self._held_back = ""
        """Text held back: it was a thought if the expected closing tag arrives."""
        self._code = ""
        """The run of backticks or tildes that ends the current code; empty outside code."""
        self._has_words = self._has_returned = False

    @property
    def is_open(self) -> bool:
        """Whether the latest text is a thought, or may be one."""
        return bool(self._open or self._expected)

    def feed(self, delta: str) -> str:
        """Take a delta; return the words that now certainly belong to the answer."""
        self.is_discarded = False
        is_idle = self._has_returned and not (self._pending or self._open or self._code)
        if is_idle and not _MAY_MATTER.search(delta):
            return delta
        self._pending += delta
        return self._scan(final=False)

    def close(self) -> str:
        """Return the rest, including text that was held back for a closing tag that never arrived."""
        self.is_discarded = False
        words = self._scan(final=True)
        kept, self._held_back = self._held_back, ""
        return kept + words

    def _scan(self, *, final: bool) -> str:
        output: list[str] = []
        while self._pending:
            step = self._skip_thought if self._open else self._scan_answer
            if not step(output, final):
                break
        words = "".join(output)
        if not self._has_words:
            words = words.lstrip()
            self._has_words = bool(words)
        if self._expected:
            self._held_back += words
            return ""
        words, self._held_back = self._held_back + words, ""
        self._has_returned = self._has_returned or bool(words)
        return words

    def _skip_thought(self, _output: list[str], final: bool) -> bool:
        """Move past the next tag in the thought; return False if more text is needed."""
        text = self._pending
        found = _TAG.search(text)
        if found is None:
            unfinished = _UNFINISHED.search(text)
            start = unfinished.start() if unfinished else len(text)
            self._pending = "" if final else text[max(0, start - 1) :]
            return False
        before, behind = text[: found.start()][-1:], text[found.end() : found.end() + 1]
        if before == "`" and not behind and not final:
            return False
        self._pending = text[found.end() :]
        if before == behind == "`" or found["empty"]:
            return True
        name = (found["name"] or "").lower()
        if not _is_closing(found):
            if name not in self._open:
                self._open.append(name)
        elif name in self._open:
            del self._open[self._open.index(name) :]
        else:  # some models close a tag under another name
            self._open.clear()
        return True

    def _scan_answer(self, output: list[str], final: bool) -> bool:
        """Move past the next special characters in the answer; return False if more text is needed."""
        found = _SPECIAL.search(self._pending)
        if found is None:
            output.append(self._consume(len(self._pending)))
            return True
        output.append(self._consume(found.start()))
        piece = found.group()
        if piece in "<◁[":
            return self._handle_bracket(output, final)
        if piece == self._pending and not final and (piece[0] != "\n" or self._is_inline):
            return False
        if piece[0] == "\\" and self._code:
            piece = piece[0]  # a backslash escapes nothing in code
        elif piece[0] in "`~":
            self._toggle_code(piece)
        elif piece.count("\n") > 1 and self._is_inline:
            self._code = ""  # inline code ends with its paragraph
        output.append(self._consume(len(piece)))
        return True

    def _handle_bracket(self, output: list[str], final: bool) -> bool:
        """Handle held text that begins with a bracket; return False if more text is needed."""
        tag = _TAG.match(self._pending)
        frame = (
            None
            if tag or self._code or not self._has_seen_tag
            else _ANSWER_TAG.match(self._pending)
        )
        if frame is not None:
            self._consume(frame.end())
        elif tag is None:
            if not final and _UNFINISHED.match(self._pending):
                return False
            output.append(self._consume(1))
        elif (is_code := self._is_code(tag.end(), final)) is None:
            return False
        elif is_code:
            output.append(self._consume(tag.end()))
        else:
            self._consume(tag.end())
            self._handle_tag(tag, output)
        return True

    def _handle_tag(self, tag: re.Match[str], output: list[str]) -> None:
        """Begin a thought, or end one that had no opening tag."""
        self._has_seen_tag, self._code = True, ""
        if tag["empty"]:
            return
        if not _is_closing(tag):
            self._open.append((tag["name"] or "").lower())
            self._expected = False
            return
        self.is_discarded = self.is_discarded or self._has_returned
        self.closed_without_opening = (
            self.closed_without_opening or self._has_words or bool("".join(output).strip())
        )
        self._held_back = ""
        self._expected = self._has_words = self._has_returned = False
        output.clear()

    def _is_code(self, end: int, final: bool) -> bool | None:
        """Return whether the tag that ends at `end` is in code; None if that is not known yet."""
        if not self._is_inline:
            return bool(self._code)
        rest = self._pending[end:]
        closing = re.search(rf"(?<!`){self._code}(?!`)|\n[ \t]*\n", rest)
        if closing and (final or closing.end() < len(rest)):
            return closing.group()[0] == "`"
        return False if final or len(rest) > _LONGEST_CODE else None

    def _toggle_code(self, run: str) -> None:
        if not self._code:
            self._code = run
        elif run == self._code or (not self._is_inline and run.startswith(self._code)):
            self._code = ""

    @property
    def _is_inline(self) -> bool:
        return 0 < len(self._code) < _FENCE_LENGTH

    def _consume(self, end: int) -> str:
        """Remove and return the first `end` characters of the held text."""
        consumed, self._pending = self._pending[:end], self._pending[end:]
        return consumed


def _is_closing(tag: re.Match[str]) -> bool:
    return any(tag[name] for name in ("close", "close_bracket", "final", "end_channel"))
