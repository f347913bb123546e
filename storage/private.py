"""What Ibid keeps in `IBID_HOME` is for the user that it runs as. Windows has no such modes."""

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

_FOLDER, _FILE = 0o700, 0o600
_OTHERS = 0o077


def create_privately() -> None:
    """For a process of our own: what it and its children create, nobody else may read."""
    os.umask(_OTHERS)


def make_private(home: Path) -> None:
    """Make the folder, or close one that is open to others, with all that is in it.

    One that belongs to somebody else stays as it is, as does one on a disk without modes.
    """
    with suppress(OSError):
        if not home.exists():
            home.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        elif is_open_to_others(home) and _is_ours(home):
            home.chmod(_FOLDER)  # first: from now on nobody else reaches what is below
            for folder, _, names in os.walk(home):
                Path(folder).chmod(_FOLDER)
                for name in names:
                    _close(Path(folder, name))


def is_open_to_others(home: Path) -> bool:
    """Whether other users of this machine may read it, or change it; False when it is not there."""
    return sys.platform != "win32" and home.exists() and bool(home.stat().st_mode & _OTHERS)


def _close(file: Path) -> None:
    """A link's target may lie elsewhere, and is left alone."""
    with suppress(OSError):  # gone meanwhile, or a socket that somebody else made
        if stat.S_ISREG(file.lstat().st_mode):
            file.chmod(_FILE)


def _is_ours(home: Path) -> bool:
    return sys.platform != "win32" and home.stat().st_uid == os.getuid()
