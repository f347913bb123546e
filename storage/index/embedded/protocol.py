"""The protocol between the engine process and its clients: length-prefixed msgpack frames on loopback."""

import asyncio
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from storage.errors import (
    IbidError,
    IndexDamaged,
    IndexLocked,
    IndexMismatch,
    IndexUnavailable,
    InvalidInput,
    NotFound,
    StorageFull,
)
from storage.index.embedded.files import write_atomically

VERSION = 1
"""Version of this protocol and of `messages`; the running process may be of another version of Ibid."""

HOST = "127.0.0.1"
LOG = "engine.log"
"""Name of the log in an index's folder: standard error of its process, also of Rust, since it started."""

TAKEN = 75
"""Exit code of a process that finds the folder locked by another one."""

BUFFER = 1 << 20
_LARGEST = 256 << 20
"""Maximum size of a frame, in bytes; Ibid never sends a larger one."""

_ADDRESS = "engine.json"
_ERRORS: dict[str, type[IbidError]] = {
    kind.__name__: kind
    for kind in (
        IndexDamaged,
        IndexLocked,
        IndexMismatch,
        IndexUnavailable,
        InvalidInput,
        NotFound,
        StorageFull,
    )
}


class Address(Struct, frozen=True):
    """The port of an index's process, and the token that it accepts."""

    port: int
    token: str
    pid: int

    @classmethod
    def read(cls, folder: Path) -> "Address":
        """Read the address; its process may have ended. Raise `OSError` or `msgspec.DecodeError`."""
        return msgspec.json.decode((folder / _ADDRESS).read_bytes(), type=cls)

    def write(self, folder: Path) -> None:
        """Write the address to a file that only its owner can read."""
        write_atomically(folder / _ADDRESS, msgspec.json.encode(self))

    @staticmethod
    def remove(folder: Path) -> None:
        """Delete the file, so that no client uses the address."""
        (folder / _ADDRESS).unlink(missing_ok=True)


class Hello(Struct, frozen=True):
    """The first frame of a connection; after a wrong token, the process closes the connection."""

    token: str
    version: int = VERSION


class EngineRequest(Struct, frozen=True, array_like=True):
    """A call, which is decoded separately, so that an invalid one can still be answered by its id."""

    id: int
    call: Raw


class EngineResponse(Struct, frozen=True, array_like=True, tag=True):
    """The return value of the call with this id; the answer to a `Hello` has the id 0."""

    id: int
    value: Raw


class EngineFailure(Struct, frozen=True, array_like=True, tag=True):
    """The exception that the call with this id raised."""

    id: int
    kind: str
    message: str

    def error(self) -> IbidError:
        """Return the same exception, for the client to raise."""
        kind = _ERRORS.get(self.kind, IndexUnavailable)
        # Bypass `__init__`: that of `NotFound` would build another message around this one.
        return kind.__new__(kind, self.message)


def frame(message: Struct) -> bytes:
    """Encode a message as a frame; raise `InvalidInput` if it is too large to be received."""
    body = msgspec.msgpack.encode(message)
    if len(body) > _LARGEST:
        raise InvalidInput(f"{len(body) >> 20} MiB are too large for one call to the index.")
    return len(body).to_bytes(4, "big") + body


async def read_frame(reader: asyncio.StreamReader, largest: int = _LARGEST) -> bytes:
    """Return the body of the next frame; raise `ConnectionError` if there is none or it is too large."""
    try:
        length = int.from_bytes(await reader.readexactly(4), "big")
        if length > largest:
            raise ConnectionAbortedError(f"A frame of {length} bytes.")
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as end:
        raise ConnectionResetError("The other side has closed the connection.") from end
