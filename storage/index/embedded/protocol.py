"""How the engine process and its clients find each other and talk: length-prefixed msgpack frames."""

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
"""Of what is said here and in `calls`: the running process may be of another version of Ibid."""

HOST = "127.0.0.1"
LOG = "engine.log"
"""In an index's folder: what its process, or Rust, had to complain of since it started."""

TAKEN = 75
"""Exit code of a process that found the folder to have one already."""

BUFFER = 1 << 20
_LARGEST = 256 << 20
"""Bytes of a frame; what claims to be longer is not one of ours."""

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
    """Where an index's process listens, and the token that opens it."""

    port: int
    token: str
    pid: int

    @classmethod
    def read(cls, folder: Path) -> "Address":
        """Raises `OSError` or `msgspec.DecodeError`; what is read may be of a process long dead."""
        return msgspec.json.decode((folder / _ADDRESS).read_bytes(), type=cls)

    def write(self, folder: Path) -> None:
        """For the owner of the folder only."""
        write_atomically(folder / _ADDRESS, msgspec.json.encode(self))

    @staticmethod
    def remove(folder: Path) -> None:
        """Send nobody here any more."""
        (folder / _ADDRESS).unlink(missing_ok=True)


class Hello(Struct, frozen=True):
    """The first frame of a connection; with a wrong token it is also the last."""

    token: str
    version: int = VERSION


class EngineRequest(Struct, frozen=True, array_like=True):
    """A call; still encoded, so that one which makes no sense can be answered by its id."""

    id: int
    call: Raw


class EngineResponse(Struct, frozen=True, array_like=True, tag=True):
    """What the call with this id returned; the answer to a `Hello` has the id 0."""

    id: int
    value: Raw


class EngineFailure(Struct, frozen=True, array_like=True, tag=True):
    """What the call with this id raised."""

    id: int
    kind: str
    message: str

    def error(self) -> IbidError:
        """The same exception on this side."""
        kind = _ERRORS.get(self.kind, IndexUnavailable)
        # Past __init__: `NotFound` would build another sentence round this one.
        return kind.__new__(kind, self.message)


def frame(message: Struct) -> bytes:
    """A message as it is sent. Raises `InvalidInput` for one that is too large to be received."""
    body = msgspec.msgpack.encode(message)
    if len(body) > _LARGEST:
        raise InvalidInput(f"{len(body) >> 20} MiB are too much for one call to the index.")
    return len(body).to_bytes(4, "big") + body


async def read_frame(reader: asyncio.StreamReader, largest: int = _LARGEST) -> bytes:
    """The body of the next message. Raises `ConnectionError` when there is none to come."""
    try:
        length = int.from_bytes(await reader.readexactly(4), "big")
        if length > largest:
            raise ConnectionAbortedError(f"A frame of {length} bytes.")
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as end:
        raise ConnectionResetError("The other side has closed the connection.") from end
