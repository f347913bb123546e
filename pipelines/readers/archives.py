"""Open office files and EPUB books, which are zip archives, after checking their sizes."""

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

DAMAGED = "It is damaged, or its suffix is wrong."
_OLD_OR_LOCKED = (
    "It is protected by a password or in a format older than its name says; "
    "save it anew without a password."
)
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_MEGABYTE = 1_000_000
_LARGEST_UNPACKED = 200 * _MEGABYTE
# Spreadsheets compress about 50 times; a large archive with a ratio above this limit is a zip bomb.
_HIGHEST_RATIO = 200
_SMALL = 20 * _MEGABYTE
_MOST_MEMBERS = 20_000

# The exceptions that the archive and XML libraries raise for malformed files.
_PARSE_ERRORS = (
    BadZipFile, DefusedXmlException, SafeXml.ParseError, zlib.error, EOFError, KeyError, IndexError,
    NotImplementedError, OSError, OverflowError, UnicodeError, ValueError, TypeError, AttributeError,
)  # fmt: skip


@contextmanager
def open_archive(data: bytes | IO[bytes]) -> Generator[ZipFile]:
    """Open an archive in memory, without writing to disk; raise `SourceUnreadable` if it is malformed.

    zipfile never returns more bytes of a member than its declared size, so it is enough to check
    the declared sizes.
    """
    file = BytesIO(data) if isinstance(data, bytes) else data
    if file.read(len(_COMPOUND_FILE)) == _COMPOUND_FILE:
        raise SourceUnreadable(_OLD_OR_LOCKED)
    try:
        with ZipFile(file) as archive:
            _check_zip_bomb(archive)
            yield archive
    except _PARSE_ERRORS as error:
        raise SourceUnreadable(DAMAGED) from error
    except RuntimeError as error:  # zipfile raises it for an encrypted member
        raise SourceUnreadable(_OLD_OR_LOCKED if "encrypt" in str(error) else DAMAGED) from error


def parse_xml(archive: ZipFile, member: str) -> Any:
    """Return the root element of an XML member; refuse entities. The library has no types."""
    return SafeXml.fromstring(archive.read(member))


def declared_title(archive: ZipFile) -> str | None:
    """Return the title in the document's properties, or None if it is not a real title."""
    try:
        properties = parse_xml(archive, "docProps/core.xml")
    except _PARSE_ERRORS:
        return None
    return sensible_title(properties.findtext("{http://purl.org/dc/elements/1.1/}title"))


def _check_zip_bomb(archive: ZipFile) -> None:
    members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if len(members) > _MOST_MEMBERS:
        raise SourceUnreadable(f"It is an archive with more than {_MOST_MEMBERS} files.")
    size = f"It unpacks to {unpacked / _MEGABYTE:.0f} MB"
    if unpacked > _LARGEST_UNPACKED:
        limit = f"{_LARGEST_UNPACKED / _MEGABYTE:.0f} MB"
        raise SourceUnreadable(f"{size}, larger than the limit of {limit}.")
    if unpacked > _SMALL and unpacked > _HIGHEST_RATIO * max(packed, 1):
        raise SourceUnreadable(
            f"{size} from {packed / _MEGABYTE:.1f} MB: it looks like a zip bomb."
        )
