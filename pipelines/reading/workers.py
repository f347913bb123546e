"""Untrusted files are read in processes of their own: a bomb, a loop or a crash costs one file."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from queue import SimpleQueue
from types import TracebackType
from typing import NamedTuple, Self

from pipelines.reading import Reading, read_file
from pipelines.reading.formats import FORMATS
from pipelines.reading.worker import Reply, Request, read_reply, write_frame
from storage.errors import SourceUnreadable

PROCESSES = 2
SECONDS = 60.0
"""That reading a file may take, and as many again for each hundred megabytes of it."""
MEMORY = 1_500_000_000
"""Bytes that one process may take."""

_READER = "pipelines.reading:read_file"
_CRASHED = "The reader crashed on it."
_CLOSED = "Reading was interrupted."
_HUNDRED_MEGABYTES = 100_000_000
_GIGABYTE = 1_000_000_000
# What is short and needs no foreign library may be read here; much of it keeps other cores busy, once
# the processes have started.
_READ_AT_ONCE = 200_000
# What Python needs to start; whoever takes over a reader finds no keys there.
_ENVIRONMENT = (
    "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT",
    "TEMP", "TMPDIR", "VIRTUAL_ENV",
)  # fmt: skip


class Asked(NamedTuple):
    """A file, and its place below the corpus's root."""

    path: Path
    relative: PurePosixPath
    size: int


class ReaderPool:
    """Reads files side by side; its processes start when they are first needed."""

    def __init__(
        self,
        *,
        reader: str = _READER,
        processes: int = PROCESSES,
        seconds: float = SECONDS,
        memory: int = MEMORY,
    ) -> None:
        self._is_default = reader == _READER
        self._is_fresh = True
        self._seconds = seconds
        self._memory = memory
        command = [sys.executable, "-P", "-m", "pipelines.reading.worker", reader, str(memory)]
        self._workers = [_Worker(command) for _ in range(processes)]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="reading")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Leaves no process behind, whatever it was reading."""
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def read(self, files: Sequence[Asked]) -> list[Reading | SourceUnreadable]:
        """In the order of the files."""
        is_little = sum(file.size for file in files if _is_harmless(file)) <= _READ_AT_ONCE
        here, self._is_fresh = is_little or self._is_fresh, False
        return [*self._threads.map(partial(self._read_one, here=here), files)]

    def _read_one(self, file: Asked, *, here: bool) -> Reading | SourceUnreadable:
        try:
            if here and self._is_default and _is_harmless(file):
                return read_file(file.path, file.relative)
            return self._read_apart(file)
        except SourceUnreadable as error:
            return error

    def _read_apart(self, file: Asked) -> Reading:
        limit = self._seconds * (1 + file.size / _HUNDRED_MEGABYTES)
        worker = self._idle.get()
        try:
            reply = worker.ask(file, limit)
        finally:
            self._idle.put(worker)
        if reply.out_of_memory:
            needed = f"{self._memory / _GIGABYTE:.1f} GB"
            raise SourceUnreadable(f"Reading it needed more than {needed} of memory.")
        if reply.reading is None:
            raise SourceUnreadable(reply.reason)
        return reply.reading


def _is_harmless(file: Asked) -> bool:
    kind = FORMATS.get(file.path.suffix.lower())
    return kind is None or (kind.takes == "text" and file.size <= _READ_AT_ONCE)


class _Worker:
    """One process, started anew after each end; used by one thread at a time."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def ask(self, file: Asked, seconds: float) -> Reply:
        """The reply, or the reason why there is none."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        request = Request(
            os.fsencode(file.path), os.fsencode(file.relative.as_posix()), int(seconds) + 1
        )
        is_late = threading.Event()

        def end() -> None:
            is_late.set()
            process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            write_frame(process.stdin, request)
            reply = read_reply(process.stdout)
        except (OSError, ValueError):  # it ended, or was closed, meanwhile
            reply = None
        finally:
            timer.cancel()
        if reply is None or reply.out_of_memory or is_late.is_set():
            self._end()
        if self._is_closed:
            raise SourceUnreadable(_CLOSED)
        if reply is None:
            late = f"Reading it took longer than {seconds:.0f} s."
            return Reply(reason=late if is_late.is_set() else _CRASHED)
        return reply

    def close(self) -> None:
        """From any thread: what is being read is given up."""
        self._is_closed = True
        self._end()

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise SourceUnreadable(_CLOSED)
            if self._process is None:
                self._process = subprocess.Popen(  # noqa: S603  (our own module)
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                )
            return self._process

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
            if process is None:
                return
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
