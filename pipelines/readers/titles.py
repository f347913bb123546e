"""Distinguish real titles from the placeholders that programs write into a file's properties."""

import re

_PREFIX = re.compile(r"\A(?:Microsoft (?:Word|PowerPoint|Excel)|Print) - ", re.IGNORECASE)
# When the author gave no title, programs write placeholders or file names there.
_NO_TITLE = re.compile(
    r"(?:untitled|unknown|title|document|(?:power ?point )?presentation|slide|book|sheet|"
    r"word document)[ _-]?\d*|.*\.(?:docx?|dotx?|pptx?|xlsx?|pdf|tex|dvi|indd|qxd|p65|rtf|odt|ps)",
    re.IGNORECASE,
)
_SHORTEST = 3


def sensible_title(declared: str | None) -> str | None:
    """Return the title on one line, or None if it is not a real title."""
    title = _PREFIX.sub("", " ".join((declared or "").split()))
    letters = sum(character.isalpha() for character in title)
    if len(title) < _SHORTEST or 2 * letters < len(title) or not title.isprintable():
        return None
    return None if _NO_TITLE.fullmatch(title) or "\ufffd" in title else title
