"""Detection of variables that look like misspelt settings. Their names are shown, never their values."""

import logging
import os
import re
from collections.abc import Generator, Mapping, Set
from contextlib import contextmanager
from difflib import get_close_matches
from typing import NamedTuple

from pydantic_settings import DotEnvSettingsSource

from app.settings.settings import Settings

SETTINGS = tuple(name.upper() for name in Settings.model_fields)
_LONG_NAMES = tuple(name for name in SETTINGS if len(name) > len("AUTH"))
"""Setting names that are long enough for fuzzy matching. Too many words are similar to short names."""
_NAME = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Z]{3,}")
"""The form of variable names. Anything else in `.env` may be a part of a key with line breaks."""
_FAMILIES = frozenset(name.partition("_")[0] for name in SETTINGS) - {"IBID"}
"""Prefixes of settings. `IBID` is not one: other `IBID_` variables may be for a script that starts Ibid."""
_VENDORS = frozenset({"COHERE", "OPENROUTER", "QDRANT"})
"""Prefixes that other programs rarely use."""
_NEAR, _MIN_VENDOR_SIMILARITY = 0.85, 0.6
"""The minimum similarity of two names, as difflib's ratio from 0 to 1."""
_OTHER_PROGRAMS = frozenset({"AUTH0_AUDIENCE", "DATABASE_USER"})
"""Common variables of other programs that are similar to settings."""
_SERVICE_VARIABLE = re.compile(
    r".*(?:_SERVICE_HOST|_SERVICE_PORT(_\w+)?|_PORT(?:_\d+_(?:TCP|UDP)\w*)?)"
)
"""Variables that Kubernetes and Docker set for other services."""


class MisspeltName(NamedTuple):
    """A name that is not a setting, and the most similar setting, if there is one."""

    name: str
    in_file: bool
    nearest: str | None

    def __str__(self) -> str:
        """Return a sentence for the user."""
        place = " in .env" if self.in_file else ""
        hint = f": did you mean {self.nearest}?" if self.nearest else "."
        return f"{self.name}{place} is not a setting{hint}"


def find_misspelt() -> list[MisspeltName]:
    """Return names in the environment and in `.env` that were probably meant as settings."""
    in_file, around = _names_with_values(_file()), _names_with_values(os.environ)
    found = [MisspeltName(name, True, _nearest(name)) for name in _probable_settings(in_file)]
    for name in around - in_file:
        nearest = _nearest(name)
        if nearest and nearest not in in_file | around:  # else it is another program's
            found.append(MisspeltName(name, False, nearest))
    return sorted(found)


def find_unknown_names() -> list[str]:
    """Return the other names in `.env` that are not settings. They usually belong to another program."""
    in_file = _names_with_values(_file())
    return sorted(in_file - _probable_settings(in_file) - {*SETTINGS})


def _probable_settings(in_file: Set[str]) -> set[str]:
    """Return names similar to a setting's, and if most names are settings, all with a setting's prefix."""
    unknown = in_file - {*SETTINGS}
    is_ours = len(unknown) <= len(in_file) / 2
    return {
        name
        for name in unknown
        if _nearest(name) or (is_ours and name.partition("_")[0] in _FAMILIES)
    }


def _nearest(name: str) -> str | None:
    if name in _OTHER_PROGRAMS or name in SETTINGS or _SERVICE_VARIABLE.fullmatch(name):
        return None
    bare = name.removeprefix("IBID_")
    if bare in SETTINGS:
        return bare
    near = _MIN_VENDOR_SIMILARITY if name.partition("_")[0] in _VENDORS else _NEAR
    return next(iter(get_close_matches(name, _LONG_NAMES, 1, near)), None)


def _names_with_values(variables: Mapping[str, str | None]) -> set[str]:
    return {
        name.upper()
        for name, value in variables.items()
        if _NAME.fullmatch(name.upper()) and value and value.strip()
    }


def _file() -> Mapping[str, str | None]:
    with _silence_logger("dotenv.main"):  # parse errors were reported when the settings were read
        return DotEnvSettingsSource(Settings, case_sensitive=True).env_vars


@contextmanager
def _silence_logger(name: str) -> Generator[None]:
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
