"""The messages between the engine process and its clients, which are sent as frames on loopback."""

from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from storage import errors
from storage.index.embedded.files import write_atomically

VERSION = 1
"""Version of this protocol and of `messages`; the running process may be of another version of Ibid."""

HOST = "127.0.0.1"
LOG_NAME = "engine.log"
"""Name of the log in an index's folder: standard error of its process, also of Rust, since it started."""

EXIT_LOCKED = 75
"""Exit code of a process that finds the folder locked by another one."""

BUFFER_BYTES = 1 << 20

_ADDRESS = "engine.json"


class EngineAddress(Struct, frozen=True):
    """The port of an index's process, and the token that it accepts."""

    port: int
    token: str
    pid: int

    @classmethod
    def read(cls, folder: Path) -> "EngineAddress":
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

    def to_exception(self) -> errors.IbidError:
        """Return the same exception, for the client to raise."""
        kind = getattr(errors, self.kind, errors.IndexUnavailable)
        # Bypass `__init__`: that of `NotFound` would build another message around this one.
        return kind.__new__(kind, self.message)
