"""Remove the invisible characters that documents and models may hide in a text."""

import re
import unicodedata

_ORDINARY = re.compile(r"[\t\n -~¡-¬®-ʯ]*")
"""Text in which no character needs a check: ASCII and Latin letters."""
_LINE_BREAKS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_JOINERS = "\u200c\u200d"
_VISIBLE_FORMATS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
"""Visible characters of category Cf: https://www.unicode.org/reports/tr44/#Prepended_Concatenation_Mark."""
_INVISIBLE_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
"""Default_Ignorable_Code_Point without category Cf and without variation selectors."""
_EMOJI_MODIFIERS = range(0x1F3FB, 0x1F400)
_VARIATIONS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_NONCHARACTERS = range(0xFDD0, 0xFDF0)
_JOINING_SCRIPTS = (
    *(
        "ARABIC",
        "SYRIAC",
        "MONGOLIAN",
        "NKO",
        "MANDAIC",
        "HANIFI",
        "DEVANAGARI",
        "BENGALI",
        "GURMUKHI",
    ),
    *(
        "GUJARATI",
        "ORIYA",
        "TAMIL",
        "TELUGU",
        "KANNADA",
        "MALAYALAM",
        "SINHALA",
        "KHMER",
        "MYANMAR",
    ),
    *("TIBETAN", "BALINESE", "JAVANESE", "ADLAM", "TAI", "LEPCHA", "MEETEI", "CHAKMA"),
)
"""First words of the Unicode names of letters whose shape a joiner changes."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class InvisibleFilter:
    """A streaming filter that removes invisible characters, however the text is split into pieces.

    It removes control characters, zero-width characters, bidirectional controls, Unicode tags,
    noncharacters, and variation selectors without effect. Joiners stay where a script or an emoji needs
    them. Every line break becomes a line feed.
    """

    def __init__(self) -> None:
        self._before = ""
        """The last character that was read and not removed."""

    def feed(self, text: str) -> str:
        """Return the visible characters of the next piece."""
        if _ORDINARY.fullmatch(text) and self._before != "\r":
            self._before = text[-1:] or self._before
            return text
        return "".join(map(self._filter_character, text))

    def _filter_character(self, character: str) -> str:
        before, self._before = self._before, character
        if character == "\n" and before == "\r":
            return ""
        if character == "\r" or character in _LINE_BREAKS:
            return "\n"
        if _is_visible(character, before):
            return character
        self._before = before  # a removed character does not count
        return ""


def remove_invisible(text: str) -> str:
    """Return a whole text without its invisible characters."""
    return InvisibleFilter().feed(text)


def to_one_line(text: str) -> str:
    """Return the visible text with each run of white space replaced by one space."""
    return " ".join(remove_invisible(text).split())


def sanitize_for_terminal(text: str) -> str:
    """Return text that cannot control a terminal: without escape sequences and bidirectional controls."""
    return remove_invisible(_CONTROLS.sub("", text))


def _is_visible(character: str, before: str) -> bool:
    code = ord(character)
    if character in _JOINERS:
        return _takes_joiner(before)
    if any(code in selectors for selectors in _VARIATIONS):
        return bool(before) and not before.isspace() and not _is_variation(before)
    if code in _NONCHARACTERS or code & 0xFFFE == 0xFFFE or character in _INVISIBLE_LETTERS:  # noqa: PLR2004
        return False
    category = unicodedata.category(character)
    if category == "Cf":
        return character in _VISIBLE_FORMATS
    return category not in ("Cc", "Cs") or character in "\t\n"


def _is_variation(character: str) -> bool:
    return any(ord(character) in selectors for selectors in _VARIATIONS)


def _takes_joiner(before: str) -> bool:
    if not before:
        return False
    if (
        unicodedata.category(before) == "So"
        or ord(before) in _EMOJI_MODIFIERS
        or before == "\ufe0f"
    ):
        return True
    return unicodedata.name(before, "").startswith(_JOINING_SCRIPTS)
