"""What processes hold and use, as Linux tells it: memory, and seconds of a processor."""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLED = 0.05
_ENGINE = b"storage.index.embedded.process"


def resident(pids: Sequence[int]) -> float:
    """Megabytes in memory, those that several share counted for each."""
    pages = (int(_about(pid, "statm").split()[1]) for pid in pids)
    return sum(pages) * _PAGE / 1e6


def shared_out(pids: Sequence[int]) -> float:
    """The same with what several share divided among them: what the machine has less."""
    lines = (line.split() for pid in pids for line in _about(pid, "smaps_rollup").splitlines())
    return sum(int(line[1]) for line in lines if line[0] == "Pss:") / 1e3


def processor(pids: Sequence[int]) -> float:
    """Seconds of a processor since the start of each."""
    return sum(sum(map(int, _fields(pid)[11:13])) for pid in pids) / _TICKS


def family(pid: int) -> tuple[list[int], list[int]]:
    """A server and its children; and apart from them those that are an engine's process."""
    found = [pid]
    for one in found:
        found += _children(one)
    engine = [one for one in found if _ENGINE in _command(one)]
    return [one for one in found if one not in engine], engine


@dataclass
class Memory:
    """In megabytes beyond what there was at first."""

    pids: Sequence[int] = field(default_factory=lambda: [os.getpid()])
    most: float = 0.0

    def __post_init__(self) -> None:
        """What there was at first is taken now."""
        self.first = resident(self.pids)

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[None]:
        """The most that was taken meanwhile."""
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    async def _watch(self) -> None:
        while True:
            self.most = max(self.most, resident(self.pids) - self.first)
            await asyncio.sleep(_SAMPLED)


def _children(pid: int) -> list[int]:
    """Read anew when a thread has ended meanwhile, for another has its children then."""
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
    """Of `stat`, from the state on: before it comes a name, which may have blanks in it."""
    return _about(pid, "stat").rpartition(") ")[2].split()
