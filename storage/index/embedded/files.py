"""File system operations of the embedded index: locks, atomic writes, checks of free space."""

import os
import shutil
import sys
from pathlib import Path

from storage.errors import StorageFull

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def try_lock(folder: Path) -> int | None:
    """Lock a folder until the returned descriptor closes or its process dies; return None if locked."""
    return try_lock_file(folder / "engine.lock")


def try_lock_file(path: Path) -> int | None:
    """Lock a file in the same way; create it if it does not exist."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
    except (BlockingIOError, PermissionError):  # a held lock, on Linux and on Windows
        os.close(descriptor)
        return None
    return descriptor


def is_locked(folder: Path) -> bool:
    """Return whether a running process has locked the folder."""
    descriptor = try_lock(folder)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file, readable only by its owner; a reader sees the complete old or new content."""
    draft = path.with_name(f".{path.name}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut, with fsync."""
    if sys.platform != "win32":  # Windows cannot open a folder, and journals renames
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_BLOCK = 1 << 16
_HOLE = bytes(_BLOCK)


def copy_folder(folder: Path, copy: Path) -> None:
    """Copy a folder and keep its files sparse: those of a new engine hold a few kilobytes in 200 MB."""
    shutil.copytree(folder, copy, copy_function=_copy_with_holes)


def _copy_with_holes(source: str, target: str) -> None:
    with Path(source).open("rb") as original, Path(target).open("wb") as copy:
        while block := original.read(_BLOCK):
            if block == _HOLE:
                copy.seek(_BLOCK, os.SEEK_CUR)
            else:
                copy.write(block)
        copy.truncate(original.tell())


def folder_size(folder: Path) -> int:
    """Return the bytes that a folder takes on disk, without holes where the system reports them."""
    found = [path.stat() for path in folder.rglob("*") if path.is_file()]
    if sys.platform == "win32":
        return sum(file.st_size for file in found)
    return sum(file.st_blocks * 512 for file in found)


def require_space(folder: Path, needed: int) -> None:
    """Raise `StorageFull` if the disk of `folder` has fewer than `needed` free bytes."""
    if shutil.disk_usage(folder).free < needed:
        raise StorageFull(
            f"The disk that holds {folder} has less than {needed >> 20} MiB left. Free some space "
            "and try again. The existing index is kept."
        )
