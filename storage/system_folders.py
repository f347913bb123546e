"""Provide what a container may lack: an account for its user, and a folder for temporary files."""

import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import pwd

_NAME = "tmp"
_STALE_SECONDS = 7 * 24 * 60 * 60.0
"""Seconds after which files that a killed process left in the folder are removed."""
_OFTEN_MISSING = [Path("/tmp"), Path("/var/tmp"), Path("/usr/tmp")]  # noqa: S108 - where Python looks


def ensure_user() -> None:
    """Set `HOME` and `USER` for a user that has no account: `/`, as container engines do, and the user id.

    Some libraries look up the home folder when they are imported, and fail if there is none.
    """
    if sys.platform == "win32":
        return
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        os.environ.setdefault("USER", str(os.getuid()))
        if not os.environ.get("HOME", "").startswith("/"):
            os.environ["HOME"] = "/"


def has_temporary_folder() -> bool:
    """Return whether there is a temporary folder.

    The current folder, which Python uses as its last resort, does not count.
    """
    try:
        folder = Path(tempfile.gettempdir())
        return folder.is_dir() and (folder != Path.cwd() or folder in _OFTEN_MISSING)
    except FileNotFoundError:
        return False


def ensure_temporary_folder(home: Path) -> None:
    """Make this process, its libraries and its children use `tmp` in `home` (which is `IBID_HOME`).

    Nothing changes if the system's temporary folder, or the one in `TMPDIR`, is writable.
    """
    if has_temporary_folder():
        return
    folder = home.absolute() / _NAME
    with suppress(OSError):  # if home is not writable, the first writer reports it
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
            _remove_old(folder)


def _remove_old(folder: Path) -> None:
    for path in folder.iterdir():
        if path.lstat().st_mtime < time.time() - _STALE_SECONDS:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
