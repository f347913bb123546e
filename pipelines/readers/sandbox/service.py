"""Run a function on untrusted files in a worker process, with a timeout and a memory limit per call."""

import asyncio
import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import PurePath
from subprocess import PIPE
from typing import Generic, NamedTuple, TypeVar

import msgspec

from pipelines.readers.sandbox.child import FunctionCall, Reply
from storage.errors import SourceUnreadable
from storage.processes.frames import encode_frame, read_frame
from storage.processes.spawn import spawn

T = TypeVar("T")

SECONDS = 60.0
"""The default timeout of a call, in seconds; `ReaderPool` adds as much again per hundred megabytes."""
MEMORY = 1_500_000_000
"""The default memory limit of the process, in bytes."""

_CRASHED = "The reader crashed while reading it."
_CLOSED = "Reading was interrupted."
_GIGABYTE = 1_000_000_000
_WATCH_SECONDS = 0.5


class SandboxCall(NamedTuple):
    """The arguments of a call and its timeout in seconds."""

    arguments: tuple[PurePath | int, ...]
    seconds: float = SECONDS


class Sandbox(Generic[T]):
    """A worker process that starts when it is first needed and restarts after it has ended.

    Only one thread may run calls at a time.
    """

    def __init__(self, function: str, result: type[T], memory: int = MEMORY) -> None:
        """Set up the sandbox for `function`, given as `module:name`, which returns a `result`."""
        self._function = function
        self._result = result
        self._memory = memory
        self._process: _Process | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def process_id(self) -> int | None:
        """The id of the running process, or None."""
        process = self._process
        return process.id if process else None

    def run_calls(self, calls: Sequence[SandboxCall]) -> Iterator[T | SourceUnreadable]:
        """Yield the outcome of each call, in order; all are sent at once, which is faster for small files.

        A call that exceeds a limit or crashes fails alone; the others continue in a new process.
        """
        position = 0
        while position < len(calls):
            for outcome in self._run_in_one_process(calls[position:]):
                position += 1
                yield outcome

    async def call(self, *arguments: PurePath | int) -> T:
        """Return the result of one call or raise `SourceUnreadable`. To cancel it, close the sandbox."""
        (outcome,) = await asyncio.to_thread(lambda: [*self.run_calls([SandboxCall(arguments)])])
        if isinstance(outcome, SourceUnreadable):
            raise outcome
        return outcome

    def close(self) -> None:
        """Kill the process and abandon the current call; may be called from any thread."""
        self._is_closed = True
        self._kill_process()

    def _run_in_one_process(self, calls: Sequence[SandboxCall]) -> Iterator[T | SourceUnreadable]:
        """Yield outcomes until a call ends the process."""
        process = self._get_process()
        if process is None:
            yield from (SourceUnreadable(_CLOSED) for _ in calls)
            return
        process.send(calls)
        for call in calls:
            reply = process.reply(call.seconds)
            if reply is None or reply.out_of_memory or process.has_timed_out:
                self._kill_process()
                yield SourceUnreadable(self._reason(process, call, reply))
                return
            if reply.reason:
                yield SourceUnreadable(reply.reason)
            else:
                yield msgspec.msgpack.decode(reply.result, type=self._result)

    def _reason(self, process: "_Process", call: SandboxCall, reply: Reply | None) -> str:
        if self._is_closed:
            return _CLOSED
        if process.has_timed_out:
            return f"Reading it took longer than {call.seconds:.0f} s."
        if reply is not None and reply.out_of_memory:
            return f"Reading it needed more than {self._memory / _GIGABYTE:.1f} GB of memory."
        return _CRASHED

    def _get_process(self) -> "_Process | None":
        """Return the process, started if necessary, or None if the sandbox is closed."""
        with self._lock:
            if self._process is None and not self._is_closed:
                self._process = _Process(self._function, self._memory)
            return self._process

    def _kill_process(self) -> None:
        with self._lock:
            process, self._process = self._process, None
            if process is not None:
                process.end()


class _Process:
    """A process, the pipes to it, and a thread that kills it when a reply is late."""

    def __init__(self, function: str, memory: int) -> None:
        self.has_timed_out = False
        self._deadline = math.inf
        self._is_over = threading.Event()
        self._child = spawn(
            *("pipelines.readers.sandbox.child", function, str(memory)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,  # never read; the system closes it when this process ends, and the child ends too
        )
        threading.Thread(target=self._watch, daemon=True, name="reading limit").start()

    @property
    def id(self) -> int:
        """The system's id of the process."""
        return self._child.pid

    def send(self, calls: Sequence[SandboxCall]) -> None:
        """Send the calls; if the process has ended, there are no replies."""
        requests = [
            FunctionCall(_encode_arguments(call.arguments), int(call.seconds) + 1) for call in calls
        ]
        assert self._child.stdin
        with suppress(OSError, ValueError):  # the process ended or was closed in the meantime
            self._child.stdin.write(encode_frame(requests))
            self._child.stdin.flush()

    def reply(self, seconds: float) -> Reply | None:
        """Return the next reply, or None if the process ends, is late or sends unreadable data."""
        assert self._child.stdout
        self._deadline = time.monotonic() + seconds
        try:
            return msgspec.msgpack.decode(read_frame(self._child.stdout), type=Reply)
        except (OSError, ValueError):
            return None
        finally:
            self._deadline = math.inf

    def end(self) -> None:
        """Kill the process and close the pipes."""
        self._is_over.set()
        with suppress(OSError), self._child:  # which closes the pipes and waits
            self._child.kill()

    def _watch(self) -> None:
        while not self._is_over.wait(_WATCH_SECONDS):
            if time.monotonic() > self._deadline:
                self.has_timed_out = True
                self._child.kill()
                return


def _encode_arguments(arguments: Sequence[PurePath | int]) -> tuple[bytes | int, ...]:
    return tuple(a if isinstance(a, int) else os.fsencode(a) for a in arguments)
