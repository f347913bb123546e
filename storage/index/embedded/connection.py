"""A connection to an index's process; `connect` starts the process if it does not run."""

import asyncio
import subprocess
import threading
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Raw

from storage.errors import IndexUnavailable
from storage.index.embedded.files import is_locked, require_space
from storage.index.embedded.messages import EngineCall
from storage.index.embedded.protocol import (
    BUFFER_BYTES,
    EXIT_LOCKED,
    HOST,
    LOG_NAME,
    EngineAddress,
    EngineFailure,
    EngineRequest,
    EngineResponse,
    Hello,
)
from storage.processes.frames import encode_frame, receive
from storage.processes.spawn import spawn

_START_TIMEOUT = 15.0
"""Timeout in seconds for the process to start and answer, whichever client started it."""
_HELLO_TIMEOUT = 5.0
_PAUSE = 0.01

T = TypeVar("T")
_RESPONSE_DECODER = msgspec.msgpack.Decoder(EngineResponse | EngineFailure)


class EngineConnectionLost(IndexUnavailable):
    """The error of a call whose connection was lost; the call may or may not have been executed."""


class EngineConnection:
    """A connection that allows concurrent calls; an id matches each answer with its call."""

    def __init__(
        self, folder: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._folder = folder
        self._reader = reader
        self._writer = writer
        self._ids = count(1)
        self._pending: dict[int, asyncio.Future[EngineResponse | EngineFailure | None]] = {}
        self._receiving = asyncio.create_task(self._receive())
        # Not in the task: a task that is cancelled before its first step never reaches its `finally`.
        self._receiving.add_done_callback(self._end)

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended."""
        return self._receiving.done()

    async def call(self, call: EngineCall, answer: type[T]) -> T:
        """Send a call and return its result, of type `answer`; cancelling leaves the connection usable."""
        request = EngineRequest(next(self._ids), Raw(msgspec.msgpack.encode(call)))
        future = asyncio.get_running_loop().create_future()
        self._pending[request.id] = future
        try:
            if self.is_lost:
                raise self._lost_error()
            # No `drain`: callers await their answers, so the number of pending calls bounds the buffer.
            self._writer.write(encode_frame(request))
            message = await future
        finally:
            del self._pending[request.id]
        if message is None:
            raise self._lost_error()
        if isinstance(message, EngineFailure):
            raise message.to_exception()
        return msgspec.msgpack.decode(message.value, type=answer)

    async def close(self) -> None:
        """Close the connection; pending calls raise `EngineConnectionLost`."""
        self._receiving.cancel()
        await asyncio.gather(self._receiving, return_exceptions=True)
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _receive(self) -> None:
        with suppress(OSError):  # raised when the process ends
            while True:
                message = _RESPONSE_DECODER.decode(await receive(self._reader))
                future = self._pending.get(message.id)  # None when its caller was cancelled
                if future is not None and not future.done():
                    future.set_result(message)

    def _end(self, _: asyncio.Task[None]) -> None:
        self._writer.close()
        for future in self._pending.values():
            if not future.done():
                future.set_result(None)

    def _lost_error(self) -> EngineConnectionLost:
        return EngineConnectionLost(_error_message("stopped", self._folder))


async def connect(folder: Path) -> EngineConnection:
    """Connect to the index's process, and start it if needed.

    Raise `IndexUnavailable` or `StorageFull` if no process answers or none can start.
    """
    child: subprocess.Popen[bytes] | None = None
    try:
        async with asyncio.timeout(_START_TIMEOUT):
            while True:
                # Retry: the address file, the port or the token may be stale or not ready yet.
                with suppress(OSError, msgspec.DecodeError):
                    return await _connect_once(folder)
                child = start_engine(folder, child)
                await asyncio.sleep(_PAUSE)
    except TimeoutError as error:
        raise IndexUnavailable(_error_message("does not answer", folder)) from error


def start_engine(
    folder: Path, before: subprocess.Popen[bytes] | None = None
) -> subprocess.Popen[bytes] | None:
    """Start the process unless one runs or is starting; return at once, with the process it started.

    A client may call this first, and import its modules while the process starts. `before` is the
    result of the previous call; raise `IndexUnavailable` or `StorageFull` if that process failed.
    """
    exit_code = None if before is None else before.poll()
    if before is not None and exit_code is None:
        return before
    if exit_code not in (None, 0, EXIT_LOCKED):
        require_space(folder, 1 << 20)  # without it, the process cannot write its log
        raise IndexUnavailable(_error_message("could not be started", folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return None if is_locked(folder) else _spawn(folder)
    except OSError as error:
        raise IndexUnavailable(f"The index in {folder} cannot be used: {error}.") from error


def _spawn(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / LOG_NAME).open("ab") as log:
        child = spawn(
            "storage.index.embedded.process",
            str(folder.resolve()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
    # If the child ends before this process, `wait` keeps it from remaining as a zombie.
    threading.Thread(target=child.wait, name="engine process", daemon=True).start()
    return child


async def _connect_once(folder: Path) -> EngineConnection:
    """Connect to a running process.

    Raise `OSError` or `DecodeError` if there is none, or if it does not accept the token.
    """
    address = EngineAddress.read(folder)
    async with asyncio.timeout(_HELLO_TIMEOUT):
        reader, writer = await asyncio.open_connection(HOST, address.port, limit=BUFFER_BYTES)
        try:
            writer.write(encode_frame(Hello(address.token)))
            welcome = _RESPONSE_DECODER.decode(await receive(reader))
        except BaseException:
            writer.close()
            raise
    if isinstance(welcome, EngineFailure):
        writer.close()
        raise welcome.to_exception()
    return EngineConnection(folder, reader, writer)


def _error_message(problem: str, folder: Path) -> str:
    """Return a message with the last line of the process's log."""
    sentence = f"The process that holds the index in {folder} {problem}."
    with suppress(OSError):
        lines = (folder / LOG_NAME).read_text(errors="replace").split("\n")
        if words := [line for line in lines if line.strip()]:
            return f"{sentence} Its last output: {words[-1]}"
    return sentence
