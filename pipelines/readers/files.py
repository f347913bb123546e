"""Load a file's bytes after checking that it is a regular file within the size limit."""

import stat
from pathlib import Path

from storage.errors import SourceUnreadable

LARGEST_FILE = 100_000_000
"""The largest file that is ever opened, in bytes; a format may have a lower limit."""
_MEGABYTE = 1_000_000


def load(path: Path, largest: int = LARGEST_FILE) -> bytes:
    """Return the file's bytes; raise `SourceUnreadable` with a reason for the user."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would block until a writer opens it
            raise SourceUnreadable("It is a device, a pipe or a socket, not a file.")
        check_size(status.st_size, largest)
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SourceUnreadable(f"The file cannot be opened: {reason}.") from error


def check_size(size: int, largest: int) -> None:
    """Raise `SourceUnreadable`, with both sizes, if the file is too large."""
    if size > largest:
        raise SourceUnreadable(
            f"It is {size / _MEGABYTE:.1f} MB, larger than the limit of "
            f"{largest / _MEGABYTE:.0f} MB for files of its kind."
        )
