"""The engine process: `python -m storage.index.embedded.process FOLDER` serves one index to all clients.

Only one process may open the embedded engine, and the engine holds the GIL, so clients do not load it
themselves. The first client that opens the folder starts this process. It ends after the last connection
has closed.
"""

import asyncio
import os
import secrets
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Raw

from storage.errors import IbidError, IndexLocked, IndexUnavailable, InvalidInput
from storage.index.embedded import conversions, messages
from storage.index.embedded.engine import EmbeddedEngine
from storage.index.embedded.files import copy_folder
from storage.index.embedded.optimize import optimize_shard
from storage.index.embedded.protocol import (
    BUFFER_BYTES,
    EXIT_LOCKED,
    HOST,
    VERSION,
    EngineAddress,
    EngineFailure,
    EngineRequest,
    EngineResponse,
    Hello,
)
from storage.logs import format_exception
from storage.private import set_private_umask
from storage.processes.frames import encode_frame, receive

_HELLO_TIMEOUT = 10.0
"""Timeout for the first connection, and for a `Hello`, in seconds."""
_LARGEST_HELLO = 1024
_READ_CALLS = (
    messages.SearchCall | messages.Retrieve | messages.Scan | messages.Count | messages.IsSlow
)
_CALL_DECODER = msgspec.msgpack.Decoder(messages.EngineCall)


class EngineProcess:
    """A server that executes the calls of all connections one at a time; connections take turns."""

    def __init__(self, engine: EmbeddedEngine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._token = secrets.token_hex(16)
        self._connections: set[asyncio.Task[None]] = set()
        self._optimized: dict[str, asyncio.Event] = {}
        self._done = asyncio.Event()

    async def serve(self) -> None:
        """Serve until the last connection has closed, or until SIGTERM."""
        loop = asyncio.get_running_loop()
        signal.signal(signal.SIGTERM, lambda _, __: loop.call_soon_threadsafe(self._done.set))
        server = await asyncio.start_server(self._on_connect, HOST, 0, limit=BUFFER_BYTES)
        EngineAddress(server.sockets[0].getsockname()[1], self._token, os.getpid()).write(
            self._folder
        )
        self._exit_if_idle_after(_HELLO_TIMEOUT)
        await self._done.wait()
        EngineAddress.remove(self._folder)
        server.close()
        # `asyncio.run` then cancels the tasks of the connections and of their calls.

    def _exit_if_idle_after(self, seconds: float) -> None:
        def leave_if_alone() -> None:
            if not self._connections:
                self._done.set()

        asyncio.get_running_loop().call_later(seconds, leave_if_alone)

    def _on_connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve_connection(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        patience = _HELLO_TIMEOUT
        try:
            await self._check_hello(reader, writer)
            patience = 0.0
            await self._handle_requests(reader, writer)
        except* (OSError, msgspec.DecodeError):
            pass  # the client has disconnected, or is not one of Ibid's
        finally:
            writer.close()
            self._exit_if_idle_after(patience)

    async def _check_hello(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async with asyncio.timeout(_HELLO_TIMEOUT):
            hello = msgspec.msgpack.decode(await receive(reader, _LARGEST_HELLO), type=Hello)
        if not secrets.compare_digest(hello.token.encode(), self._token.encode()):
            raise ConnectionRefusedError
        if hello.version != VERSION:
            reason = "Another version of Ibid is using this index. Stop it and try again."
            writer.write(encode_frame(EngineFailure(0, IndexUnavailable.__name__, reason)))
            raise ConnectionRefusedError
        writer.write(encode_frame(EngineResponse(0, _encode(None))))

    async def _handle_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async with asyncio.TaskGroup() as calls:
            while True:
                request = msgspec.msgpack.decode(await receive(reader), type=EngineRequest)
                calls.create_task(self._answer(request, writer))
                await asyncio.sleep(0)  # let this call run, and then those of other connections
                await writer.drain()

    async def _answer(self, request: EngineRequest, writer: asyncio.StreamWriter) -> None:
        try:
            call = _CALL_DECODER.decode(request.call)
            answer = encode_frame(EngineResponse(request.id, _encode(await self._execute(call))))
        except IbidError as error:
            answer = encode_frame(EngineFailure(request.id, type(error).__name__, str(error)))
        except msgspec.ValidationError as error:
            answer = encode_frame(EngineFailure(request.id, InvalidInput.__name__, f"{error}."))
        except Exception as error:  # outermost handler: a failed call must not end other calls
            print(format_exception(error), file=sys.stderr)
            reason = f"The index failed: {type(error).__name__}."
            answer = encode_frame(EngineFailure(request.id, IndexUnavailable.__name__, reason))
        writer.write(answer)

    async def _execute(self, call: messages.EngineCall) -> object:
        if isinstance(call, messages.Collections | messages.Aliases):
            return call.execute(self._engine)
        collection = self._engine.resolve(call.collection)
        while not isinstance(call, _READ_CALLS) and (done := self._optimized.get(collection)):
            await done.wait()
        if isinstance(call, messages.Optimize):
            return await self._optimize(collection)
        return call.execute(self._engine)

    async def _optimize(self, collection: str) -> None:
        """Optimise a copy in another process, then replace the collection, which serves reads meanwhile."""
        folder, copy = self._engine.begin_copy(collection)
        optimized = self._optimized[collection] = asyncio.Event()
        copying = asyncio.create_task(asyncio.to_thread(copy_folder, folder, copy))
        try:
            with conversions.translate_errors(folder):
                await asyncio.shield(copying)
            await optimize_shard(copy)
            self._engine.replace_by_copy(collection)
        finally:
            await asyncio.wait([copying])  # cancelling the wait does not stop the thread
            shutil.rmtree(copy, ignore_errors=True)
            del self._optimized[collection]
            optimized.set()


def _encode(value: object) -> Raw:
    return Raw(msgspec.msgpack.encode(value))


def main() -> int:
    """Run the engine process and return its exit code; print the reason of a failure to standard error."""
    # Ignore Ctrl-C, which is for the clients: a terminal sends it to all, and this one may be writing.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_private_umask()
    folder = Path(sys.argv[1])
    try:
        engine = EmbeddedEngine(folder)
    except IndexLocked:
        return EXIT_LOCKED
    except IbidError as error:
        print(error, file=sys.stderr)
        return 1
    with suppress(OSError):  # a terminal cannot be truncated
        os.ftruncate(sys.stderr.fileno(), 0)
    try:
        asyncio.run(EngineProcess(engine, folder).serve())
    finally:
        engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
