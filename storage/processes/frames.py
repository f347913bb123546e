"""Messages between processes: a length of four bytes, then MessagePack, which cannot run code like pickle."""

from typing import IO, TYPE_CHECKING

import msgspec

from storage.errors import InvalidInput

if TYPE_CHECKING:  # a child that reads from a pipe starts faster without it
    from asyncio import StreamReader

LARGEST_FRAME = 256 << 20
"""Maximum size of a message in bytes; Ibid never sends a larger one."""

_LENGTH = 4


def encode_frame(message: object) -> bytes:
    """Encode a message; raise `InvalidInput` if it is too large to be received."""
    body = msgspec.msgpack.encode(message)
    if len(body) > LARGEST_FRAME:
        raise InvalidInput(
            f"{len(body) >> 20} MiB are too large for one message; the limit is {LARGEST_FRAME >> 20} MiB."
        )
    return len(body).to_bytes(_LENGTH, "big") + body


async def receive(reader: "StreamReader", largest: int = LARGEST_FRAME) -> bytes:
    """Return the body of the next frame; raise `ConnectionError` if there is none or it is too large."""
    try:
        size = _size(await reader.readexactly(_LENGTH), largest)
        return await reader.readexactly(size)
    except EOFError as end:
        raise ConnectionResetError("The other side has closed the connection.") from end


def read_frame(pipe: IO[bytes]) -> bytes:
    """Return the body of the next frame of a pipe; raise the same errors as `receive`."""
    return _read(pipe, _size(_read(pipe, _LENGTH), LARGEST_FRAME))


def _read(pipe: IO[bytes], size: int) -> bytes:
    found = pipe.read(size)
    if len(found) < size:
        raise ConnectionResetError("The other side has closed the pipe.")
    return found


def _size(length: bytes, largest: int) -> int:
    size = int.from_bytes(length, "big")
    if size > largest:
        raise ConnectionAbortedError(f"The frame has {size} bytes; the limit is {largest}.")
    return size
