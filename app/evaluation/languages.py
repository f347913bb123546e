"""Detects the language of a set's documents, by script and then by stop words."""

import re
from collections.abc import Sequence

from storage.index.bm25.tokenizer import count_stop_words

_SCRIPTS = {
    "ja": "\u3040-\u30ff",
    "ko": "\uac00-\ud7af",
    "zh": "\u3400-\u9fff",
    "th": "\u0e00-\u0e7f",
    "hi": "\u0900-\u097f",
    "fa": "پچژگ",
    "ar": "\u0600-\u06ff",
    "he": "\u0590-\u05ff",
    "el": "\u0370-\u03ff",
    "ru": "\u0400-\u04ff",
}
"""Letters that identify a language, or stand for all languages of a script; the first match counts."""
_MIN_SHARE = 0.05
"""The share of a text's letters above which a script is more than a quotation."""
_MIN_SHARE_OF_OWN_LETTERS = 0.005
"""The same share for letters that other languages of the script do not have."""
_LATIN = ("en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "fi", "hu", "ro", "tr")


def detect_language(texts: Sequence[str]) -> str:
    """Return the ISO 639 code of the language; `en` if it cannot be detected."""
    text = " ".join(texts)
    letters = sum(map(str.isalpha, text)) or 1
    for language, range_ in _SCRIPTS.items():
        enough = _MIN_SHARE_OF_OWN_LETTERS if language in ("ja", "fa") else _MIN_SHARE
        if len(re.findall(f"[{range_}]", text)) / letters > enough:
            return language
    return max(_LATIN, key=lambda language: count_stop_words(text, language))
