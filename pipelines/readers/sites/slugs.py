"""The ids that documentation builders give to headings, so that a link opens the right one."""

from unicodedata import category

# github-slugger keeps letters, marks, decimal and letter numbers, and connectors such as "_";
# of the symbols only those that are letters in a circle or a square.
_KEPT_CATEGORIES = frozenset({"Nd", "Nl", "Pc"})
_LETTER_SYMBOLS = (
    range(0x24B6, 0x24EA),
    range(0x1F130, 0x1F14A),
    range(0x1F150, 0x1F16A),
    range(0x1F170, 0x1F18A),
)


def slug(text: str) -> str:
    """The id GitHub and Docusaurus derive from a heading's text, before duplicates are numbered."""
    return "".join("-" if c == " " else c for c in text.lower() if _is_kept(c))


class Slugger:
    """Numbers the slugs of one page as github-slugger does: `setup`, `setup-1`, `setup-2`."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def anchor(self, text: str) -> str | None:
        """None for a heading that leaves nothing to link to, such as a lone emoji."""
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
