"""Create corpora. Their base URL is checked here because every footnote contains it."""

import re

from storage.errors import InvalidInput
from storage.http.urls import normalize_web_address
from storage.sql.tables import Corpus

_NAME = re.compile(r"(?!\.+\Z)[\w.-]{1,64}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


def new_corpus(name: str, base_url: str | None = None, language: str = "en") -> Corpus:
    """Return a new corpus. Raise `InvalidInput` if its name, base URL or language (ISO 639) is invalid."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} is not a valid corpus name. Use 1 to 64 letters, digits, '-', '_' or '.'."
        )
    if not _LANGUAGE.fullmatch(language):
        raise InvalidInput(
            f"{language[:80]!r} is not a language code. Use a code such as 'en' or 'de'."
        )
    return Corpus(name=name, base_url=validate_base_url(base_url), language=language)


def validate_base_url(base_url: str | None) -> str | None:
    """Return the normalized URL without a trailing slash; raise `InvalidInput`."""
    if base_url is None:
        return None
    try:
        return normalize_web_address(base_url).rstrip("/")
    except ValueError as error:
        raise InvalidInput(f"The base URL is invalid: {error}.") from None


def corpus_lock_name(corpus_name: str) -> str:
    """Return the name of the lock that must be held to change the corpus."""
    return f"corpus {corpus_name}"
