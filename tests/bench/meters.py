"""Memory and CPU seconds of processes, from Linux's `/proc`."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE_SECONDS = 0.05
_ENGINE = b"storage.index.embedded.process"


def resident_memory(pids: Sequence[int]) -> float:
    """Return the resident memory in megabytes; shared memory counts for each process."""
    pages = (int(_about(pid, "statm").split()[1]) for pid in pids)
    return sum(pages) * _PAGE / 1e6


def proportional_memory(pids: Sequence[int]) -> float:
    """Return the proportional memory (PSS) in megabytes: shared memory is divided among its processes."""
    lines = (line.split() for pid in pids for line in _about(pid, "smaps_rollup").splitlines())
    return sum(int(line[1]) for line in lines if line[0] == "Pss:") / 1e3


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the CPU seconds of the processes since their start."""
    return sum(sum(map(int, _fields(pid)[11:13])) for pid in pids) / _TICKS


def process_ids(pid: int) -> tuple[list[int], list[int]]:
    """Return the process IDs of a server with its descendants, and separately those of engine processes."""
    found = [pid]
    for one in found:
        found += _children(one)
    engine = [one for one in found if _ENGINE in _command(one)]
    return [one for one in found if one not in engine], engine


@dataclass
class Memory:
    """The memory growth of processes in megabytes since this object was created."""

    pids: Sequence[int] = field(default_factory=lambda: [os.getpid()])
    peak: float = 0.0

    def __post_init__(self) -> None:
        """Record the initial memory."""
        self.first = resident_memory(self.pids)

    @asynccontextmanager
    async def watch(self) -> AsyncGenerator[None]:
        """Record the maximum growth in `peak` inside the `with` block."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, resident_memory(self.pids) - self.first)
            await asyncio.sleep(_SAMPLE_SECONDS)


def _children(pid: int) -> list[int]:
    """Return the child processes; retry if a thread ends meanwhile, because another one gets its children."""
    threads = Path(f"/proc/{pid}/task")
    while threads.exists():
        with suppress(FileNotFoundError, ProcessLookupError):
            lists = [(one / "children").read_text(encoding="ascii") for one in threads.iterdir()]
            return [int(child) for children in lists for child in children.split()]
    return []


def _command(pid: int) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _about(pid: int, what: str) -> str:
    return Path(f"/proc/{pid}/{what}").read_text(encoding="utf-8")


def _fields(pid: int) -> list[str]:
    """Return the fields of `stat` from the state on; the name before it may contain spaces."""
    return _about(pid, "stat").rpartition(") ")[2].split()
