"""The process that reads untrusted files: `python -m pipelines.reading.worker module:function limit`.

It answers each frame on standard input with one on standard output, and ends when the input does.
A frame is four bytes of length and MessagePack: unlike pickle, its reader runs nothing.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import IO, cast

import msgspec

from pipelines.reading.page import Reading
from storage.domain import Section
from storage.errors import SourceUnreadable

if sys.platform != "win32":
    import resource

_DAMAGED = "It is damaged, or not what its name says."
_LENGTH = 4


class Request(msgspec.Struct):
    """A file to read."""

    path: bytes
    """As the file system has it: a name need not be text."""
    relative: bytes
    cpu_seconds: int
    """After these the process is ended, even when nobody waits for it any more."""


class Reply(msgspec.Struct):
    """What became of it: a reading, a reason, or `out_of_memory`."""

    reading: Reading | None = None
    reason: str = ""
    out_of_memory: bool = False


def write_frame(stream: IO[bytes], message: Request | Reply) -> None:
    """Raises `OSError` when nobody is at the other end."""
    body = msgspec.msgpack.encode(message, enc_hook=_plain)
    stream.write(len(body).to_bytes(_LENGTH, "big") + body)
    stream.flush()


def read_reply(stream: IO[bytes]) -> Reply | None:
    """None when the process has ended before it was through."""
    body = _read_body(stream)
    return msgspec.msgpack.decode(body, type=Reply, dec_hook=_value) if body else None


def _read_body(stream: IO[bytes]) -> bytes | None:
    length = stream.read(_LENGTH)
    size = int.from_bytes(length, "big")
    body = stream.read(size) if len(length) == _LENGTH else b""
    return body if body and len(body) == size else None


def _plain(value: object) -> object:
    return (
        (value.path, value.anchor, value.start, value.end) if isinstance(value, Section) else value
    )


def _value(kind: type, value: tuple[tuple[str, ...], str | None, int, int]) -> object:
    assert kind is Section
    path, anchor, start, end = value
    return Section(path=tuple(path), anchor=anchor, start=start, end=end)


def main() -> None:
    """Reads until there is nothing more to read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is its parent's to answer
    module, _, name = sys.argv[1].partition(":")
    _limit_memory(int(sys.argv[2]))
    requests = sys.stdin.buffer
    # What a library prints must not come between the frames.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    reader = cast("Callable[[Path, PurePosixPath], Reading]", getattr(import_module(module), name))
    while body := _read_body(requests):
        request = msgspec.msgpack.decode(body, type=Request)
        _limit_time(request.cpu_seconds)
        reply = _outcome(reader, request)
        write_frame(replies, reply)
        if reply.out_of_memory:  # a fresh process has all of it again
            return


def _outcome(reader: Callable[[Path, PurePosixPath], Reading], request: Request) -> Reply:
    try:
        relative = PurePosixPath(os.fsdecode(request.relative))
        return Reply(reading=reader(Path(os.fsdecode(request.path)), relative))
    except SourceUnreadable as error:
        return Reply(reason=str(error))
    except MemoryError:
        return Reply(out_of_memory=True)
    except Exception:
        return Reply(reason=_DAMAGED)


def _limit_memory(limit: int) -> None:
    """Where the system can; elsewhere only time is limited."""
    if sys.platform != "win32":
        _limit(resource.RLIMIT_AS, limit)


def _limit_time(seconds: int) -> None:
    if sys.platform != "win32":
        used = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + seconds)


def _limit(which: int, limit: int) -> None:
    if sys.platform != "win32":
        _, hard = resource.getrlimit(which)
        if hard == resource.RLIM_INFINITY or limit < hard:
            with suppress(OSError, ValueError):  # macOS has limits that it does not let be set
                resource.setrlimit(which, (limit, hard))


if __name__ == "__main__":
    main()
