"""Group the characters of a PDF page into runs: parts of a line without a wide gap, with their boxes."""

import ctypes
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

_HYPHEN = "\x02"
"""PDFium's mark for a hyphen at the end of a line; this module also writes it into the runs' text."""
_HYPHENS = "-\xad\u2010"
"""The characters that can be such a hyphen; PDFium is asked only about these, because it is slow."""
# A gap wider than this many times the letters' height is not a space between words.
_WIDE_GAP = 1.2
_MOST_CHARACTERS = 2_000_000


@dataclass(slots=True)
class Run:
    """Adjacent words on a line and their box, in points from the page's lower left corner."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    height: float
    """The median height of the characters, so that a few taller ones do not matter."""


@dataclass(slots=True)
class _Char:
    text: str
    left: float
    right: float
    bottom: float
    top: float


def page_runs(page: pdfium.PdfTextPage) -> list[Run]:
    """Return the page's runs in PDFium's order."""
    runs: list[Run] = []
    pending: list[_Char] = []
    for char in _chars(page):
        if char is None or (pending and _is_separate(pending, char)):
            _close_run(pending, runs)
            pending = []
        if char is not None and (pending or not char.text.isspace()):
            pending.append(char)
    _close_run(pending, runs)
    return runs


def _chars(page: pdfium.PdfTextPage) -> Iterator[_Char | None]:
    """Yield the page's characters, and None at each end of a line."""
    rect = pdfium_c.FS_RECTF()
    pointer = ctypes.byref(rect)
    # Looking these up for every character would cost more than the calls themselves.
    handle = page.raw
    code_of = cast("Callable[[Any, int], int]", pdfium_c.FPDFText_GetUnicode)
    box_of = cast("Callable[[Any, int, Any], int]", pdfium_c.FPDFText_GetLooseCharBox)
    count = cast("int", page.count_chars())
    high = 0
    for index in range(min(count, _MOST_CHARACTERS)):
        code = code_of(handle, index)
        if 0xD800 <= code < 0xDC00:  # noqa: PLR2004  (the first half of a surrogate pair)
            high = code
            continue
        if 0xDC00 <= code < 0xE000:  # noqa: PLR2004  (the second)
            code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00) if high else 0xFFFD
        high = 0
        text = chr(code)
        if text in "\r\n":
            yield None
        elif text == " " and pdfium_c.FPDFText_IsGenerated(handle, index) == 1:
            yield _Char(" ", 0, 0, 0, 0)
        elif visible := _HYPHEN if _ends_line(handle, index, text) else _normalize_character(text):
            box_of(handle, index, pointer)
            yield _Char(visible, rect.left, rect.right, rect.bottom, rect.top)


def _ends_line(page: Any, index: int, text: str) -> bool:
    """Whether the character is a hyphen that divides a word between two lines."""
    if text == _HYPHEN:
        return True
    return text in _HYPHENS and pdfium_c.FPDFText_IsHyphen(page, index) == 1


def _normalize_character(text: str) -> str:
    """Replace ligatures and presentation forms by their letters, and non-text characters by nothing."""
    if " " < text < "\x7f":
        return text
    if "\ufb00" <= text <= "\ufdff" or "\ufe70" <= text <= "\ufefc":
        return unicodedata.normalize("NFKC", text)
    if text < " " or text in "\xad\ufeff\ufffe\uffff":
        return "-" if text == "\xad" else ""
    return " " if text.isspace() else text


def _is_separate(pending: list[_Char], char: _Char) -> bool:
    """Whether a wide gap separates the character from the run, as between columns or cells."""
    if char.text == " ":
        return False
    last = pending[-1]
    if last.text == " ":
        last = next((c for c in reversed(pending) if c.text != " "), last)
    wide = _WIDE_GAP * max(last.top - last.bottom, 1.0)
    if char.left - last.right <= wide and last.left - char.right <= wide:
        return False
    return not (last.text == " " or _is_right_to_left(char.text) or _is_right_to_left(last.text))


def _is_right_to_left(text: str) -> bool:
    return unicodedata.bidirectional(text[0]) in ("R", "AL", "AN")


def _close_run(chars: list[_Char], runs: list[Run]) -> None:
    visible = [char for char in chars if char.text != " "]
    text = unicodedata.normalize("NFC", "".join(char.text for char in chars).strip())
    if not visible or not text:
        return
    heights = sorted(char.top - char.bottom for char in visible)
    runs.append(
        Run(
            text=text,
            left=min(char.left for char in visible),
            right=max(char.right for char in visible),
            bottom=min(char.bottom for char in visible),
            top=max(char.top for char in visible),
            height=heights[len(heights) // 2],
        )
    )
