"""Read untrusted files in worker processes: a zip bomb, an endless loop or a crash affects only one file."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path, PurePosixPath
from queue import LifoQueue
from typing import NamedTuple, Self

from pipelines.readers import SourceDocument
from pipelines.readers.sandbox.service import MEMORY, SECONDS, Sandbox, SandboxCall
from storage.errors import SourceUnreadable

PROCESSES = 2

_READER = "pipelines.readers:read_file"
_HUNDRED_MEGABYTES = 100_000_000
# Bytes per batch. Small files are sent in batches, because a round trip takes longer than reading one.
_MAX_GROUP_BYTES = 60_000


class FileRequest(NamedTuple):
    """A file to read, its path below the corpus's root and its size in bytes."""

    path: Path
    relative: PurePosixPath
    size: int


class ReaderPool:
    """A pool that reads files in parallel; its processes start when they are first needed."""

    def __init__(
        self,
        *,
        reader: str = _READER,
        processes: int = PROCESSES,
        seconds: float = SECONDS,
        memory: int = MEMORY,
    ) -> None:
        self._seconds = seconds
        self._sandboxes = [Sandbox(reader, SourceDocument, memory) for _ in range(processes)]
        # Last in, first out: a second process starts only when the first one is busy.
        self._idle: LifoQueue[Sandbox[SourceDocument]] = LifoQueue()
        for sandbox in self._sandboxes:
            self._idle.put(sandbox)
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="reading")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Kill all processes, even while they are reading."""
        for sandbox in self._sandboxes:
            sandbox.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def process_ids(self) -> list[int]:
        """The ids of the processes that are running."""
        return [one for sandbox in self._sandboxes if (one := sandbox.process_id) is not None]

    def read(self, files: Sequence[FileRequest]) -> list[SourceDocument | SourceUnreadable]:
        """Read the files and return the results in the same order."""
        return [*chain.from_iterable(self._threads.map(self._read, _group_files(files)))]

    def _read(self, files: Sequence[FileRequest]) -> list[SourceDocument | SourceUnreadable]:
        sandbox = self._idle.get()
        try:
            return [*sandbox.run_calls([self._build_call(file) for file in files])]
        finally:
            self._idle.put(sandbox)

    def _build_call(self, file: FileRequest) -> SandboxCall:
        seconds = self._seconds * (1 + file.size / _HUNDRED_MEGABYTES)
        return SandboxCall((file.path, file.relative), seconds)


def _group_files(files: Sequence[FileRequest]) -> Iterator[list[FileRequest]]:
    group: list[FileRequest] = []
    for file in files:
        if group and sum(one.size for one in group) + file.size > _MAX_GROUP_BYTES:
            yield group
            group = []
        group.append(file)
    if group:
        yield group
