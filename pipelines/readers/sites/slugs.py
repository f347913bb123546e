"""Compute the ids that documentation builders give to headings, so that links open the right heading."""

from unicodedata import category

# github-slugger keeps letters, marks, decimal and letter numbers, and connectors such as "_".
# The only symbols that it keeps are letters in a circle or a square.
_KEPT_CATEGORIES = frozenset({"Nd", "Nl", "Pc"})
_LETTER_SYMBOLS = (
    range(0x24B6, 0x24EA),
    range(0x1F130, 0x1F14A),
    range(0x1F150, 0x1F16A),
    range(0x1F170, 0x1F18A),
)


def slug(text: str) -> str:
    """Return the id that GitHub and Docusaurus make from a heading, before duplicates are numbered."""
    return "".join("-" if c == " " else c for c in text.lower() if _is_kept(c))


class Slugger:
    """A generator of unique slugs for one page, numbered like github-slugger's: `setup`, `setup-1`."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def anchor(self, text: str) -> str | None:
        """Return a unique anchor, or None if no characters are left for it, such as for an emoji alone."""
        plain = unique = slug(text)
        while unique in self._seen:
            self._seen[plain] += 1
            unique = f"{plain}-{self._seen[plain]}"
        self._seen[unique] = 0
        return unique or None


def _is_kept(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in "-_ "
    kind = category(character)
    if kind[0] in "LM" or kind in _KEPT_CATEGORIES:
        return True
    return kind == "So" and any(ord(character) in symbols for symbols in _LETTER_SYMBOLS)
