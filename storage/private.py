"""Restrict the files in `IBID_HOME` to the user that runs Ibid. Windows has no such file modes."""

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

_FOLDER, _FILE = 0o700, 0o600
_OTHERS = 0o077


def set_private_umask() -> None:
    """Set the umask so that no other user can read the files that this process and its children create.

    Call it only in a process that Ibid owns.
    """
    os.umask(_OTHERS)


def make_private(home: Path) -> None:
    """Create the folder, or remove all access of other users to it and to everything in it.

    A folder of another user, or on a disk without file modes, stays unchanged.
    """
    with suppress(OSError):
        if not home.exists():
            home.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
        elif is_open_to_others(home) and _is_own_folder(home):
            home.chmod(_FOLDER)  # first: this already blocks access to everything inside
            for folder, _, names in os.walk(home):
                Path(folder).chmod(_FOLDER)
                for name in names:
                    _restrict_file(Path(folder, name))


def is_open_to_others(home: Path) -> bool:
    """Return whether other users can read or change the folder; False if it does not exist."""
    return sys.platform != "win32" and home.exists() and bool(home.stat().st_mode & _OTHERS)


def _restrict_file(file: Path) -> None:
    """Restrict a regular file. Links are skipped, because their targets may be outside the folder."""
    with suppress(OSError):  # removed in the meantime, or another user's socket
        if stat.S_ISREG(file.lstat().st_mode):
            file.chmod(_FILE)


def _is_own_folder(home: Path) -> bool:
    return sys.platform != "win32" and home.stat().st_uid == os.getuid()
