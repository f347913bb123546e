"""`python -m tests.container FOLDER COMMAND...`: the command as it would run in a strict container.

Its user has no account, it has no `HOME`, and it can write to nothing but the folder: not to `/tmp`
either. Linux only, in a user namespace, which needs no rights.
"""

import ctypes
import os
import struct
import subprocess
import sys
from pathlib import Path

_USER = 54321
_NEW_MOUNTS, _NEW_USERS = 0x0002_0000, 0x1000_0000
_BIND, _RECURSIVE, _HERE = 0x1000, 0x8000, -100
_MOUNT_SETATTR, _READ_ONLY = 442, 1
_NO_ACCOUNT = ("HOME", "LOGNAME", "PYTHONPATH", "TEMP", "TMP", "TMPDIR", "USER", "XDG_CACHE_HOME")


def container_prefix(folder: Path) -> list[str]:
    """What stands before a command."""
    return [sys.executable, str(Path(__file__).resolve()), str(folder)]


def is_possible(folder: Path) -> bool:
    """Whether this machine allows it."""
    probe = [*container_prefix(folder), sys.executable, "-c", ""]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def main() -> None:
    """Becomes the command."""
    folder, *arguments = sys.argv[1:]
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(_NEW_USERS | _NEW_MOUNTS))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_USER} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{_USER} {group} 1")
    place = os.fsencode(folder)
    _check(libc.mount(place, place, None, _BIND | _RECURSIVE, None))
    for path, depth, on, off in ((b"/", _RECURSIVE, _READ_ONLY, 0), (place, 0, 0, _READ_ONLY)):
        attributes = struct.pack("QQQQ", on, off, 0, 0)
        call = (_MOUNT_SETATTR, _HERE, path, depth, attributes, len(attributes))
        _check(libc.syscall(*call))
    os.chdir("/")
    environment = {name: os.environ[name] for name in os.environ if name not in _NO_ACCOUNT}
    # By this the user loses all rights over the namespace.
    os.execve(arguments[0], arguments, environment)  # noqa: S606


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    main()
