"""Optimises one shard in a separate process, because the engine holds the GIL until it has finished."""

import asyncio
import os
import sys
from pathlib import Path

from qdrant_edge import EdgeShard

from storage.errors import IndexUnavailable

if sys.platform != "win32":
    import fcntl


async def optimize_shard(folder: Path) -> None:
    """Merge the segments and build the graph of a shard that no process has open.

    Cancelling ends the process and leaves the shard intact.
    """
    arguments = (sys.executable, "-P", "-m", "storage.index.embedded.optimize", str(folder))
    child = await asyncio.create_subprocess_exec(*arguments, stdin=asyncio.subprocess.PIPE)
    try:
        if code := await child.wait():
            raise IndexUnavailable(
                f"The index in {folder} could not be optimized: exit code {code}."
            )
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def _die_with_parent() -> None:
    """Make the kernel end this process when the other end of its standard input is closed.

    Python code could not react, because the engine holds the GIL; without this, an orphaned process
    would keep the shard locked for minutes.
    """
    if sys.platform != "win32":
        descriptor = sys.stdin.fileno()
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)  # SIGIO, fatal by default


def main() -> None:
    """Optimise the shard whose folder is the first command-line argument; runs in the child process."""
    _die_with_parent()
    shard = EdgeShard.load(sys.argv[1])
    shard.optimize()
    shard.close()


if __name__ == "__main__":
    main()
