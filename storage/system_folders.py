"""What a container may not have: an account for its user, and a folder for temporary files."""

import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_NAME = "tmp"
_LEFT_OVER = 7 * 24 * 60 * 60.0
"""Seconds after which what a killed process left there is removed."""
_OFTEN_MISSING = [Path("/tmp"), Path("/var/tmp"), Path("/usr/tmp")]  # noqa: S108 - where Python looks


def ensure_user() -> None:
    """A home and a name for a user that has no account here: `/`, as container engines say, and its id.

    Some libraries ask for the home when they are imported, and fail when there is none.
    """
    if sys.platform == "win32":
        return
    import pwd  # noqa: PLC0415 - not on Windows

    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        os.environ.setdefault("USER", str(os.getuid()))
        if not os.environ.get("HOME", "").startswith("/"):
            os.environ["HOME"] = "/"


def has_temporary_folder() -> bool:
    """Whether there is one, besides the current folder, which Python takes as its last resort."""
    try:
        folder = Path(tempfile.gettempdir())
        return folder.is_dir() and (folder != Path.cwd() or folder in _OFTEN_MISSING)
    except FileNotFoundError:
        return False


def ensure_temporary_folder(home: Path) -> None:
    """Have this process, its libraries and its children use `tmp` in `home` (which is `IBID_HOME`).

    Nothing changes where the system's folder, or the one in `TMPDIR`, can be written to.
    """
    if has_temporary_folder():
        return
    folder = home.absolute() / _NAME
    with suppress(OSError):  # a home that cannot be written to is told by whoever writes first
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
            _remove_old(folder)


def _remove_old(folder: Path) -> None:
    for path in folder.iterdir():
        if path.lstat().st_mtime < time.time() - _LEFT_OVER:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
