"""Listing and unpacking of uploaded archives; these functions are called in a `Sandbox` process."""

import errno
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import msgspec

from pipelines.readers.archives import open_archive
from pipelines.uploads.filenames import list_members
from storage.errors import SourceUnreadable

LIST = "pipelines.uploads.unpacking:list_archive"
UNPACK = "pipelines.uploads.unpacking:unpack_archive"

_CHUNK_BYTES = 1 << 20


class ArchiveListing(msgspec.Struct):
    """The files of an archive that would be ingested."""

    names: list[str]
    size: int
    """Total size in bytes, as the archive declares it."""


class UnpackedFile(msgspec.Struct):
    """The path of an unpacked member and the name that it is ingested under."""

    path: str
    name: str
    size: int


def list_archive(archive: Path) -> ArchiveListing:
    """List an archive; raise `SourceUnreadable` or `InvalidInput` if it must not be unpacked."""
    with archive.open("rb") as file, open_archive(file) as opened:
        found = list_members(opened)
        return ArchiveListing(
            [member.name for member in found], sum(member.info.file_size for member in found)
        )


def unpack_archive(archive: Path, folder: Path, limit: int) -> list[UnpackedFile]:
    """Unpack each file into a folder of its own, so that names that differ only in case do not collide.

    Count the bytes as they are written, because the sizes that an archive declares may be false. Raise
    `SourceUnreadable` if there are more than `limit`.
    """
    written: list[UnpackedFile] = []
    left = limit
    with archive.open("rb") as file, open_archive(file) as opened:
        for number, (info, name) in enumerate(list_members(opened)):
            target = folder / str(number) / name
            target.parent.mkdir(parents=True)
            size = _write(opened, info, target, left)
            left -= size
            written.append(UnpackedFile(str(target), name, size))
    return written


def _write(archive: ZipFile, member: ZipInfo, target: Path, limit: int) -> int:
    size = 0
    with archive.open(member) as source, target.open("wb") as copy:
        while piece := source.read(_CHUNK_BYTES):
            size += len(piece)
            if size > limit:
                raise SourceUnreadable("Unpacked, it exceeds the limit of an upload.")
            try:
                copy.write(piece)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise SourceUnreadable(
                        "There is not enough disk space to unpack it."
                    ) from error
                raise
    return size
