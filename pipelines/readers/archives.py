"""Office files and books are zip archives: looked over before anything in them is unpacked."""

import zlib
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeXml

from pipelines.readers.titles import sensible_title
from storage.errors import SourceUnreadable

DAMAGED = "It is damaged, or not what its name says."
_OLD_OR_LOCKED = (
    "It is protected by a password or in a format older than its name says; "
    "save it anew without a password."
)
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_MEGABYTE = 1_000_000
_LARGEST_UNPACKED = 200 * _MEGABYTE
# Spreadsheets shrink to a fiftieth; what shrinks more than this, and is large, was made to.
_HIGHEST_RATIO = 200
_SMALL = 20 * _MEGABYTE
_MOST_MEMBERS = 20_000

# What the archive and XML libraries raise for bytes that are not what they should be.
_FAULTS = (
    BadZipFile, DefusedXmlException, SafeXml.ParseError, zlib.error, EOFError, KeyError, IndexError,
    NotImplementedError, OSError, OverflowError, UnicodeError, ValueError, TypeError, AttributeError,
)  # fmt: skip


@contextmanager
def opened_archive(data: bytes | IO[bytes]) -> Generator[ZipFile]:
    """Nothing of it is ever written to disk; faults in it become `SourceUnreadable`.

    zipfile gives no more bytes of a member than it declares, so the declared sizes bound the rest.
    """
    file = BytesIO(data) if isinstance(data, bytes) else data
    if file.read(len(_COMPOUND_FILE)) == _COMPOUND_FILE:
        raise SourceUnreadable(_OLD_OR_LOCKED)
    try:
        with ZipFile(file) as archive:
            _refuse_bomb(archive)
            yield archive
    except _FAULTS as error:
        raise SourceUnreadable(DAMAGED) from error
    except RuntimeError as error:  # zipfile's, for a member that is encrypted
        raise SourceUnreadable(_OLD_OR_LOCKED if "encrypt" in str(error) else DAMAGED) from error


def parsed_xml(archive: ZipFile, member: str) -> Any:
    """The root element; entities are refused. Without types, as the library has none."""
    return SafeXml.fromstring(archive.read(member))


def declared_title(archive: ZipFile) -> str | None:
    """What the document's properties say, when a person would call it a title."""
    try:
        properties = parsed_xml(archive, "docProps/core.xml")
    except _FAULTS:
        return None
    return sensible_title(properties.findtext("{http://purl.org/dc/elements/1.1/}title"))


def _refuse_bomb(archive: ZipFile) -> None:
    members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if len(members) > _MOST_MEMBERS:
        raise SourceUnreadable(f"It is an archive of more than {_MOST_MEMBERS} parts.")
    size = f"It unpacks to {unpacked / _MEGABYTE:.0f} MB"
    if unpacked > _LARGEST_UNPACKED:
        limit = f"{_LARGEST_UNPACKED / _MEGABYTE:.0f} MB"
        raise SourceUnreadable(f"{size}, larger than the limit of {limit}.")
    if unpacked > _SMALL and unpacked > _HIGHEST_RATIO * max(packed, 1):
        raise SourceUnreadable(f"{size} from {packed / _MEGABYTE:.1f} MB: it was made to harm.")
