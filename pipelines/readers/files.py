"""A file's bytes, taken only from what is a file and of a size that can be read."""

import stat
from pathlib import Path

from storage.errors import SourceUnreadable

LARGEST_FILE = 100_000_000
"""Bytes of the largest file that is opened at all; each kind has a limit of its own below that."""
_MEGABYTE = 1_000_000


def load(path: Path, largest: int = LARGEST_FILE) -> bytes:
    """Raises `SourceUnreadable` with a reason a person understands."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for someone to write
            raise SourceUnreadable("It is not a file but a device, a pipe or a socket.")
        refuse_too_large(status.st_size, largest)
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SourceUnreadable(f"The file cannot be opened: {reason}.") from error


def refuse_too_large(size: int, largest: int) -> None:
    """Raises `SourceUnreadable` with both sizes."""
    if size > largest:
        raise SourceUnreadable(
            f"It is {size / _MEGABYTE:.1f} MB, larger than the limit of "
            f"{largest / _MEGABYTE:.0f} MB for files of its kind."
        )
