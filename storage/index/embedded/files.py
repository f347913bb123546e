"""What the embedded index asks of a file system: a lock, an atomic write, room to write."""

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
    """A descriptor that locks the folder until it is closed or its process dies; None when taken."""
    return try_lock_file(folder / "engine.lock")


def try_lock_file(path: Path) -> int | None:
    """The same for a file, which is made when it is not there."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor)
    except (BlockingIOError, PermissionError):  # what Linux, and what Windows, says of a taken lock
        os.close(descriptor)
        return None
    return descriptor


def is_locked(folder: Path) -> bool:
    """Whether a living process holds the folder."""
    descriptor = try_lock(folder)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file, readable by its owner only: a reader sees the old or the new, whole."""
    draft = path.with_name(f".{path.name}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    if sys.platform != "win32":  # where a folder cannot be opened, and renames are journaled
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_BLOCK = 1 << 16
_HOLE = bytes(_BLOCK)


def copy_folder(folder: Path, copy: Path) -> None:
    """Holes stay holes: a new engine's files are a few kilobytes in 200 MB of them."""
    shutil.copytree(folder, copy, copy_function=_copy_with_holes)


def _copy_with_holes(source: str, target: str) -> None:
    with Path(source).open("rb") as original, Path(target).open("wb") as copy:
        while block := original.read(_BLOCK):
            if block == _HOLE:
                copy.seek(_BLOCK, os.SEEK_CUR)
            else:
                copy.write(block)
        copy.truncate(original.tell())


def room_taken(folder: Path) -> int:
    """Bytes on the disk, holes left out where the system tells of them."""
    found = [path.stat() for path in folder.rglob("*") if path.is_file()]
    if sys.platform == "win32":
        return sum(file.st_size for file in found)
    return sum(file.st_blocks * 512 for file in found)


def require_space(folder: Path, needed: int) -> None:
    """Raises `StorageFull` when fewer than `needed` bytes are free where `folder` is."""
    if shutil.disk_usage(folder).free < needed:
        raise StorageFull(
            f"The disk that holds {folder} has less than {needed >> 20} MiB left. Free some space "
            "and try again; what is indexed already is kept."
        )
