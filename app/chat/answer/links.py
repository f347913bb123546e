"""Footnote links that open the page at the quoted words: URLs with text fragments.

https://wicg.github.io/scroll-to-text-fragment/: `#anchor:~:text=[prefix-,]start[,end][,-suffix]`.
"""

from collections.abc import Sequence
from urllib.parse import quote as percent_encoded

from pipelines.readers.registry import SUFFIXES_WITHOUT_FRAGMENTS
from storage.domain import Passage, Span

_MOST_CHARACTERS = 120
"""A longer quote is identified by its first and last words."""
_EDGE_WORDS = 6
_TEXT_DIRECTIVE = ":~:text="
_BULLETS = ("- ", "• ")


def quote_url(passage: Passage, span: Span) -> str:
    """Return the passage's URL with a text fragment for the words in `span` (canonical offsets).

    The fragment is left out where the text on the page differs from the canonical text: in code, math,
    tables, and files that open in a viewer.
    """
    start, end = span
    page, _, _ = passage.url.partition("#")
    is_web = page.startswith(("http:", "https:"))
    if not is_web or page.lower().endswith(SUFFIXES_WITHOUT_FRAGMENTS):
        return passage.url
    quoted = passage.text[start - passage.start : end - passage.start]
    is_code = any(a < end and b > start for a, b in passage.code)
    if is_code or quoted.count("$") > 1 or " | " in quoted:
        return passage.url
    words = text_fragment(quoted)
    if not words:
        return passage.url
    return passage.url + ("" if "#" in passage.url else "#") + words


def text_fragment(quoted: str) -> str:
    """Return the text directive that finds a quote; empty when the quote has no words.

    A browser matches `start` and `end` each within one block. A quote over several blocks needs both.
    """
    lines = [line for line in map(_strip_bullet, quoted.split("\n")) if line]
    if not lines:
        return ""
    first, last = lines[0].split(), lines[-1].split()
    if len(lines) == 1 and _is_short(first):
        return _TEXT_DIRECTIVE + _encode_words(first)
    if len(lines) == 1:
        # The two ends must not overlap: the browser searches for the second one after the first.
        edge = min(_EDGE_WORDS, len(first) // 2)
        if not edge:  # a single very long word
            return _TEXT_DIRECTIVE + _encode_words(first)
        return f"{_TEXT_DIRECTIVE}{_encode_words(first[:edge])},{_encode_words(first[-edge:])}"
    start = first if _is_short(first) else first[:_EDGE_WORDS]
    end = last if _is_short(last) else last[-_EDGE_WORDS:]
    return f"{_TEXT_DIRECTIVE}{_encode_words(start)},{_encode_words(end)}"


def _is_short(words: Sequence[str]) -> bool:
    return sum(map(len, words)) + len(words) - 1 <= _MOST_CHARACTERS


def _strip_bullet(line: str) -> str:
    """Strip the bullet or number, which the browser draws and which is not text of the page."""
    line = line.strip()
    if line.startswith(_BULLETS):
        return line[2:].strip()
    number, dot, rest = line.partition(". ")
    return rest.strip() if dot and number.isdecimal() else line


def _encode_words(words: Sequence[str]) -> str:
    """Percent-encode the words, also dashes, commas and ampersands, which are syntax in a directive."""
    return percent_encoded(" ".join(words), safe="").replace("-", "%2D")
