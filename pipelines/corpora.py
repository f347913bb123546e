"""A corpus is checked when it is made: its base URL goes into every footnote."""

import re

from storage.errors import InvalidInput
from storage.http.urls import web_address
from storage.sql.tables import Corpus

_NAME = re.compile(r"(?!\.+\Z)[\w.-]{1,64}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


def new_corpus(name: str, base_url: str | None = None, language: str = "en") -> Corpus:
    """A corpus with a usable name, address and language (ISO 639); raises `InvalidInput`."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name[:80]!r} cannot name a corpus: use 1 to 64 letters, digits, '-', '_' or '.'."
        )
    if not _LANGUAGE.fullmatch(language):
        raise InvalidInput(f"{language[:80]!r} is no language code: use one like 'en' or 'de'.")
    return Corpus(name=name, base_url=checked_base_url(base_url), language=language)


def checked_base_url(base_url: str | None) -> str | None:
    """As `web_address` writes it, without a slash at its end; raises `InvalidInput`."""
    if base_url is None:
        return None
    try:
        return web_address(base_url).rstrip("/")
    except ValueError as error:
        raise InvalidInput(f"The base URL cannot be used: {error}.") from None


def lock_of(corpus_name: str) -> str:
    """The name of the lock that whoever changes a corpus holds."""
    return f"corpus {corpus_name}"
