"""Checks of the names of uploaded files, because these names become paths and URLs."""

import re
import stat
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import IO, NamedTuple
from zipfile import ZipFile, ZipInfo

from pipelines.readers import SUFFIXES
from storage.errors import InvalidInput

ARCHIVE = ".zip"
_LONGEST = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")


class SentFile(NamedTuple):
    """A file of an upload with the name that the client gave it."""

    name: str
    file: IO[bytes]


class ArchiveMember(NamedTuple):
    """A file in an archive and the name that it is ingested under."""

    info: ZipInfo
    name: str


def check_names(files: Sequence[SentFile]) -> list[str]:
    """Return safe names in the same order; raise `InvalidInput` for unsafe or unsupported files."""
    if not files:
        raise InvalidInput("No file was sent: send at least one in the field `files`.")
    names = [safe_name(sent.name) for sent in files]
    for name in names:
        if not is_archive(name) and _suffix(name) not in SUFFIXES:
            readable = ", ".join(sorted({*SUFFIXES, ARCHIVE}))
            raise InvalidInput(f"{name} has a format that Ibid does not read. {readable}.")
    return names


def is_archive(name: str) -> bool:
    """Return whether the file is an archive, whose members are ingested instead of the file itself."""
    return _suffix(name) == ARCHIVE


def list_members(archive: ZipFile) -> list[ArchiveMember]:
    """Return the members that would be ingested from a folder.

    Raise `InvalidInput` for an unsafe name, a symbolic link or a member with a password.
    """
    found: list[ArchiveMember] = []
    for info in archive.infolist():
        name = safe_name(info.filename)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise InvalidInput(f"{name} is a symbolic link, which is not allowed in an archive.")
        if info.flag_bits & 1:
            raise InvalidInput(f"{name} is protected by a password.")
        parts = PurePosixPath(name).parts
        is_hidden = any(part.startswith((".", "_")) for part in parts)
        if not (info.is_dir() or is_hidden) and _suffix(name) in SUFFIXES:
            found.append(ArchiveMember(info, name))
    return found


def safe_name(given: str) -> str:
    """Return a relative path that cannot leave its folder; raise `InvalidInput` if the name is unsafe."""
    shown = given.encode(errors="replace").decode()[:80]
    name = unicodedata.normalize("NFC", given.replace("\\", "/"))
    if not name.strip("/ ."):
        raise InvalidInput(f"{shown!r} is not a valid file name.")
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        raise InvalidInput(f"{shown!r} points outside its folder. Send relative names.")
    if shown != given[:80] or _CONTROL.search(name):
        raise InvalidInput(f"{shown!r} contains characters that are not allowed in a file name.")
    if len(name.encode()) > _LONGEST or any(len(part.encode()) > 200 for part in name.split("/")):  # noqa: PLR2004
        raise InvalidInput(f"{shown!r}… is too long for a file name.")
    return PurePosixPath(name).as_posix()


def check_unique(names: Sequence[str]) -> None:
    """Raise `InvalidInput` for the first duplicate name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidInput(f"Two files are named {name}. Give each file its own name.")
        seen.add(name)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
