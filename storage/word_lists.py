"""Word lists, which are TOML files next to the modules that use them."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def word_lists(module_file: str) -> dict[str, Any]:
    """Read the lists of a module: those of `lexicon.py` are in `lexicon.toml`. Call it once, at import."""
    return tomllib.loads(Path(module_file).with_suffix(".toml").read_text(encoding="utf-8"))


def any_of(words: Iterable[str]) -> str:
    """Return a pattern that matches any of the words; an apostrophe may be straight or typographic."""
    alternatives = (re.escape(word).replace("'", "['’]") for word in words)
    return f"(?:{'|'.join(alternatives)})"
