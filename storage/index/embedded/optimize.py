"""Optimises one shard in a process of its own: the engine holds the GIL until it has finished."""

import asyncio
import os
import sys
from pathlib import Path

from qdrant_edge import EdgeShard

from storage.errors import IndexUnavailable

if sys.platform != "win32":
    import fcntl


async def optimize_shard(folder: Path) -> None:
    """Merge segments and build the graph of a shard that nobody has open; cancelling leaves it whole."""
    arguments = (sys.executable, "-P", "-m", "storage.index.embedded.optimize", str(folder))
    child = await asyncio.create_subprocess_exec(*arguments, stdin=asyncio.subprocess.PIPE)
    try:
        if code := await child.wait():
            raise IndexUnavailable(
                f"The index in {folder} could not be optimised: exit code {code}."
            )
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def _die_with_parent() -> None:
    """Have the kernel end this process when the other end of its standard input is gone.

    The GIL is held in between, so no Python would run to notice; an orphan would keep the shard
    locked for minutes.
    """
    if sys.platform != "win32":
        descriptor = sys.stdin.fileno()
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)  # SIGIO, fatal by default


def main() -> None:
    """Run in the child, with the folder of a shard as its argument."""
    _die_with_parent()
    shard = EdgeShard.load(sys.argv[1])
    shard.optimize()
    shard.close()


if __name__ == "__main__":
    main()
