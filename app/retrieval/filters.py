"""Choose which editions of the docs to search: by default one version and one language of each corpus."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from storage.domain import Edition
from storage.errors import InvalidInput
from storage.json_parsing import parse_json

FIELDS = ("version", "locale")
"""The fields that a filter may contain."""

_UNRELEASED = frozenset({"next", "current", "main", "master", "dev", "canary", "nightly"})
_PRERELEASE = re.compile(r"(?:alpha|beta|rc|pre|dev|canary|next)", re.IGNORECASE)


def parse_filter(text: str | None) -> dict[str, str]:
    """Parse a filter from the JSON in a URL parameter; raise `InvalidInput`."""
    if not text:
        return {}
    try:
        parsed: Any = parse_json(text)
    except ValueError as error:
        raise InvalidInput(_USAGE) from error
    if not isinstance(parsed, dict):
        raise InvalidInput(_USAGE)
    fields = cast("dict[str, Any]", parsed)
    if not all(isinstance(value, str) for value in fields.values()):
        raise InvalidInput(_USAGE)
    return fields


def choose_editions(
    editions: Sequence[Edition], languages: Mapping[str, str], filters: Mapping[str, str]
) -> list[Edition]:
    """Return the editions that `filters` selects; by default each corpus's language and newest version.

    `languages` has the language of each corpus. Pages without a version or locale are included unless
    `filters` names one. Raises `InvalidInput` for an unknown field or value.
    """
    _check_filters(editions, filters)
    chosen: list[Edition] = []
    for corpus, language in languages.items():
        in_corpus = [edition for edition in editions if edition.corpus == corpus]
        spoken = _in_locale(in_corpus, language, filters.get("locale"))
        chosen += _in_version(spoken, filters.get("version"))
    if filters and not chosen:
        raise InvalidInput(f"No page has the {' and the '.join(map(' '.join, filters.items()))}.")
    return chosen


def newest(versions: Sequence[str]) -> str:
    """Return the newest version by the numbers in the names; unreleased ones are older than released ones."""
    return max(versions, key=_version_key)


def _check_filters(editions: Sequence[Edition], filters: Mapping[str, str]) -> None:
    for name, value in filters.items():
        if name not in FIELDS:
            raise InvalidInput(
                f"A filter names {' or '.join(map(repr, FIELDS))}, not {name[:80]!r}."
            )
        known = {getattr(edition, name) for edition in editions} - {None}
        if value not in known:
            names = f"There are: {', '.join(sorted(known))}."
            hint = names if known else f"No page in these corpora has a {name}."
            raise InvalidInput(f"No page has the {name} {value[:80]!r}. {hint}")


def _in_locale(editions: Sequence[Edition], language: str, requested: str | None) -> list[Edition]:
    if requested is not None:
        return [edition for edition in editions if edition.locale == requested]
    locales = {edition.locale for edition in editions if edition.locale}
    same_language = {locale for locale in locales if _language(locale) == language} or locales
    return [
        edition for edition in editions if edition.locale is None or edition.locale in same_language
    ]


def _in_version(editions: Sequence[Edition], requested: str | None) -> list[Edition]:
    if requested is not None:
        return [edition for edition in editions if edition.version == requested]
    versions = [edition.version for edition in editions if edition.version]
    latest = newest(versions) if versions else None
    return [edition for edition in editions if edition.version in (None, latest)]


def _language(locale: str) -> str:
    return re.split("[-_]", locale, maxsplit=1)[0].lower()


def _version_key(version: str) -> tuple[bool, tuple[int, ...], bool, str]:
    numbers = tuple(int(number[:9]) for number in re.findall(r"\d+", version))
    released = version.lower() not in _UNRELEASED
    final = _PRERELEASE.search(version) is None
    return released, (*numbers[:3], *(0,) * (3 - len(numbers))), final, version


_USAGE = 'A filter is a JSON object of texts, such as {"version": "2.x", "locale": "en"}.'
