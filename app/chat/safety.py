"""A model's words as they may reach a reader: no link but to the sources, no image, no raw HTML.

Passages can hold instructions, and a model may follow them. What it then writes is still Markdown that
leads nowhere, loads nothing and runs nothing, whoever renders it.
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from storage.domain import Passage

REMOVED = "(link removed)"

_SCHEMES = (
    *("http://", "https://", "ftp://", "file://", "www."),
    *("mailto:", "javascript:", "vbscript:", "data:"),
)
_URL = r"(?:(?:https?|ftp|file)://|www\.|(?:mailto|javascript|vbscript|data):)[^\s<>\"'`)\]\\]+"
_PROSE = re.compile(
    rf"(?P<escaped>\\[!-/:-@\[-`{{-~])"
    rf"|(?P<auto><(?:https?)://[^\s<>]*>)"
    rf"|(?P<tag><(?=[A-Za-z/!?]))"
    rf"|(?P<image>!+(?=\[))"
    rf"|\]\((?P<target>[^\n]*?)\)"
    rf"|(?P<open>\](?=[(:]))"
    rf"|(?P<url>{_URL})",
    re.IGNORECASE,
)
_HELD = re.compile(
    r"(?:[\\!\]<~]+|\]\([^\n)]{0,2000}|<[a-z]{1,5}|<https?:[^\s<>]{0,2000}"
    rf"|{_URL.removesuffix('+')}*)\Z",
    re.IGNORECASE,
)
_BEGUN = re.compile(
    f"(?:{'|'.join(re.escape(s[:n]) for s in _SCHEMES for n in range(len(s), 0, -1))})\\Z",
    re.IGNORECASE,
)
"""What the address of a link begins with, as far as it came."""
_LONGEST_BEGUN = max(map(len, _SCHEMES))
_OPENING = "\\!]<"
"""What means something else by what comes after it."""
_TRAILING = ".,;:!?*_~"
_FENCE = re.compile(r"(?P<indent> {0,3})(?P<run>`{3,}(?=[^`\n]*\n)|~{3,})[^\n]*\n")
_MAYBE_FENCE = re.compile(r" {0,3}(?:`{0,2}|~{0,2}|`{3,}[^`\n]*|~{3,}[^\n]*)\Z|[ \t]*\Z")
_TICKS = re.compile(r"`+")
_STOP = re.compile(r"\\[^\n]|`|\n")


class SafeText:
    """Feed it words; it gives them back safe, the same whatever their borders.

    Code is left alone: what stands in it is shown and not followed. Only what every reader of Markdown
    takes for code counts as such: a span within its line, a fence that begins a line, is not ended by
    its list, and closes as it opened.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._pages = {page for passage in passages for page in _pages(passage.url)}
        self._texts = [passage.text for passage in passages]
        self._held = ""
        self._fence: tuple[str, str] | None = None
        """Indent and run of the fenced block we are in."""
        self._fresh = True
        """At the beginning of a line."""
        self._unclosed = False
        """A run of backticks in this paragraph has not closed in its line."""
        self._lost = False
        """A fence began or ended in a way that others may see differently: no more of them is code."""

    def feed(self, words: str) -> str:
        """What is certain now."""
        self._held += words
        return self._steps(final=False)

    def close(self) -> str:
        """What was held back; the next words do not join on to it."""
        return self._steps(final=True)

    def _steps(self, *, final: bool) -> str:
        given, left = "", -1
        while self._held and len(self._held) != left:
            left = len(self._held)
            given += self._step(final=final)
        return given

    def _step(self, *, final: bool) -> str:
        """The next stretch of code or of prose; empty when there is none yet."""
        if self._fence:
            return self._fenced(*self._fence, final=final)
        if self._fresh:
            opening = None if self._lost else _FENCE.match(self._held)
            if opening:
                self._fence = opening["indent"], opening["run"]
                self._unclosed = False
                return self._give(opening.end())
            if not final and _MAYBE_FENCE.fullmatch(self._held):
                return ""
            blank = re.match(r"[ \t]*\n", self._held)
            self._unclosed = self._unclosed and not blank
        if self._held.startswith("`"):
            return self._inline(final=final)
        return self._prose(final=final)

    def _fenced(self, indent: str, run: str, *, final: bool) -> str:
        line, newline, _ = self._held.partition("\n")
        if not newline and not final:
            return ""
        closes = line.lstrip().startswith(run)
        if closes and line.rstrip() == indent + run:
            self._fence = None
        elif closes or (line.strip() and not line.startswith(indent)):
            self._fence, self._lost, self._unclosed = None, True, True
            return self._step(final=final)
        return self._give(len(line + newline))

    def _inline(self, *, final: bool) -> str:
        line, newline, _ = self._held.partition("\n")
        runs = [*_TICKS.finditer(line)]
        whole = newline or final
        if not whole and runs[-1].end() == len(line):
            runs.pop()  # it may go on
            if not runs:
                return ""
        opening, *others = runs
        closing = next((run for run in others if len(run[0]) == len(opening[0])), None)
        if closing is None and not whole:
            return ""
        self._lost = self._lost or (closing is None and opening[0].startswith("```"))
        is_cell = closing is not None and "|" in line[opening.end() : closing.start()]
        if closing is None or is_cell or self._unclosed:
            self._unclosed = True
            return self._give(opening.end())
        return self._give(closing.end())

    def _prose(self, *, final: bool) -> str:
        """Up to the end of the line, or to code."""
        stops = (found for found in _STOP.finditer(self._held) if found[0] in "`\n")
        stop = next(stops, None)
        if stop is not None:
            end = stop.end() if stop[0] == "\n" else stop.start()
        else:
            end = len(self._held) if final else self._certain()
        self._lost = self._lost or "~~~" in self._held[:end]
        text = _PROSE.sub(self._safe, self._held[:end])
        return text if self._give(end) else ""

    def _certain(self) -> int:
        """Where what may yet become a link begins."""
        length = len(self._held)
        held = _HELD.search(self._held)
        begun = _BEGUN.search(self._held, max(length - _LONGEST_BEGUN, 0))
        start = min(held.start() if held else length, begun.start() if begun else length)
        while start and self._held[start - 1] in _OPENING:
            start -= 1
        return start

    def _give(self, end: int) -> str:
        given, self._held = self._held[:end], self._held[end:]
        if given:
            self._fresh = given.endswith("\n")
        return given

    def _safe(self, found: re.Match[str]) -> str:
        kind = found.lastgroup
        if kind == "target":
            return found[0] if self._leads_home(found["target"].strip("<> ")) else r"\]"
        if kind == "auto":
            return found[0] if self._leads_home(found["auto"][1:-1]) else REMOVED
        if kind == "url":
            return self._bare(found["url"])
        return {"tag": "&lt;", "image": "", "open": r"\]"}.get(kind or "", found[0])

    def _bare(self, url: str) -> str:
        """A page of the sources is linked, what a passage names is shown, the rest goes."""
        named = url.rstrip(_TRAILING)
        rest = url[len(named) :]
        if self._leads_home(named):
            return url
        shown = any(named in text for text in self._texts)
        return f"`{named}`{rest}" if shown else f"{REMOVED}{rest}"

    def _leads_home(self, url: str) -> bool:
        return url.partition("#")[0] in self._pages


def _pages(url: str) -> list[str]:
    """A page's address, with and without the slash at its end."""
    page = url.partition("#")[0]
    return [page, page.rstrip("/"), f"{page.rstrip('/')}/"] if urlsplit(page).scheme else []
