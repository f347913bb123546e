"""Optimises one shard in a separate process, because the engine holds the GIL until it has finished."""

import sys
from pathlib import Path

from qdrant_edge import EdgeShard

from storage.errors import IndexUnavailable
from storage.processes.parent import end_with_parent
from storage.processes.spawn import open_child


async def optimize_shard(folder: Path) -> None:
    """Merge the segments and build the graph of a shard that no process has open.

    Cancelling ends the process and leaves the shard intact.
    """
    async with open_child("storage.index.embedded.optimize", str(folder), seconds=0) as child:
        if code := await child.wait():
            raise IndexUnavailable(
                f"The index in {folder} could not be optimized: exit code {code}."
            )


def main() -> None:
    """Optimise the shard whose folder is the first command-line argument; runs in the child process."""
    end_with_parent(sys.stdin.fileno())  # an orphan would keep the shard locked for minutes
    shard = EdgeShard.load(sys.argv[1])
    shard.optimize()
    shard.close()


if __name__ == "__main__":
    main()
