"""A footnote's link that opens the page at the very words: URLs with text fragments.

https://wicg.github.io/scroll-to-text-fragment/: `#anchor:~:text=[prefix-,]start[,end][,-suffix]`.
"""

from collections.abc import Sequence
from urllib.parse import quote as percent_encoded

from storage.domain import Passage, Span

_MOST_CHARACTERS = 120
"""Longer quotes are named by their first and last words."""
_EDGE_WORDS = 6
_DIRECTIVE = ":~:text="
_UNLINKED = (".pdf", ".txt", ".text", ".rst")
"""What a browser shows in a viewer of its own, or as it is."""
_BULLETS = ("- ", "• ")


def link(passage: Passage, span: Span) -> str:
    """The passage's URL, with the words from `span` (canonical offsets) for the browser to find.

    Without them where a page's text is not the canonical one: in code, in math and in a viewer.
    """
    start, end = span
    page, _, _ = passage.url.partition("#")
    if not page.startswith(("http:", "https:")) or page.lower().endswith(_UNLINKED):
        return passage.url
    quoted = passage.text[start - passage.start : end - passage.start]
    is_code = any(a < end and b > start for a, b in passage.code)
    if is_code or quoted.count("$") > 1 or " | " in quoted:
        return passage.url
    words = fragment(quoted)
    if not words:
        return passage.url
    return passage.url + ("" if "#" in passage.url else "#") + words


def fragment(quoted: str) -> str:
    """The directive that finds a quote; empty when it has no words.

    A browser matches `start` and `end` within one block each: a quote over several is named by both.
    """
    lines = [line for line in map(_unmarked, quoted.split("\n")) if line]
    if not lines:
        return ""
    first, last = lines[0].split(), lines[-1].split()
    if len(lines) == 1 and _is_short(first):
        return _DIRECTIVE + _encoded(first)
    if len(lines) == 1:
        # Both ends must not overlap: what is left of the words after the first is searched.
        edge = min(_EDGE_WORDS, len(first) // 2)
        if not edge:  # one endless word
            return _DIRECTIVE + _encoded(first)
        return f"{_DIRECTIVE}{_encoded(first[:edge])},{_encoded(first[-edge:])}"
    start = first if _is_short(first) else first[:_EDGE_WORDS]
    end = last if _is_short(last) else last[-_EDGE_WORDS:]
    return f"{_DIRECTIVE}{_encoded(start)},{_encoded(end)}"


def _is_short(words: Sequence[str]) -> bool:
    return sum(map(len, words)) + len(words) - 1 <= _MOST_CHARACTERS


def _unmarked(line: str) -> str:
    """Without the bullet or number that the browser draws and no page holds as text."""
    line = line.strip()
    if line.startswith(_BULLETS):
        return line[2:].strip()
    number, dot, rest = line.partition(". ")
    return rest.strip() if dot and number.isdecimal() else line


def _encoded(words: Sequence[str]) -> str:
    """Percent-encoded; a dash, a comma or an ampersand would be taken for the directive's own."""
    return percent_encoded(" ".join(words), safe="").replace("-", "%2D")
