"""The process that works on untrusted files, started as `MODULE MODULE:FUNCTION MEMORY LIFELINE`.

Each frame on standard input is a list of requests; each of them is answered with a frame on standard
output. A frame is four bytes of length and MessagePack: unlike pickle, its reader runs nothing. The
process ends with its input, and at once when the other end of the pipe `lifeline` is closed.
"""

import os
import platform
import select
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from storage.errors import IbidError

if sys.platform != "win32":
    import fcntl
    import resource

_NOTHING = msgspec.Raw(b"\xc0")  # nil
_DAMAGED = "It is damaged, or not what its name says."
_LENGTH = 4
_IS_DEADLY = platform.system() == "Linux"


class FunctionCall(msgspec.Struct):
    """One call of the function."""

    arguments: tuple[bytes | int, ...]
    """Bytes are a path as the file system has it: a name need not be text."""
    cpu_seconds: int
    """After these the process is ended, even when nobody waits for it any more."""


class Reply(msgspec.Struct):
    """What became of it: a result, a reason, or `out_of_memory`."""

    result: msgspec.Raw = _NOTHING
    reason: str = ""
    out_of_memory: bool = False


def write_frame(stream: IO[bytes], message: Reply | list[FunctionCall]) -> None:
    """Raises `OSError` when nobody is at the other end."""
    body = msgspec.msgpack.encode(message)
    stream.write(len(body).to_bytes(_LENGTH, "big") + body)
    stream.flush()


def read_reply(stream: IO[bytes]) -> Reply | None:
    """None when the process has ended before it was through."""
    body = _read_body(stream)
    return msgspec.msgpack.decode(body, type=Reply) if body else None


def _read_body(stream: IO[bytes]) -> bytes | None:
    length = stream.read(_LENGTH)
    size = int.from_bytes(length, "big")
    body = stream.read(size) if len(length) == _LENGTH else b""
    return body if body and len(body) == size else None


def main() -> None:
    """Answers until there is nothing more to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is its parent's to answer
    name, limit, lifeline = sys.argv[1:]
    _limit_memory(int(limit))
    if lifeline:
        _end_with_parent(int(lifeline))
    requests = sys.stdin.buffer
    # What a library prints must not come between the frames.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    module, _, function = name.partition(":")
    call = cast("Callable[..., Any]", getattr(import_module(module), function))
    while body := _read_body(requests):
        for request in msgspec.msgpack.decode(body, type=list[FunctionCall]):
            _limit_time(request.cpu_seconds)
            reply = _outcome(call, request)
            write_frame(replies, reply)
            if reply.out_of_memory:  # a fresh process has all of it again
                return


def _outcome(call: Callable[..., Any], request: FunctionCall) -> Reply:
    arguments = (
        Path(os.fsdecode(value)) if isinstance(value, bytes) else value
        for value in request.arguments
    )
    try:
        return Reply(result=msgspec.Raw(msgspec.msgpack.encode(call(*arguments))))
    except IbidError as error:
        return Reply(reason=str(error))
    except MemoryError:
        return Reply(out_of_memory=True)
    except Exception:
        return Reply(reason=_DAMAGED)


def _end_with_parent(lifeline: int) -> None:
    """A signal comes when its other end is closed, even into code that never returns to Python."""
    if sys.platform != "win32":
        # Where the signal by itself does not end a process, Python does so at its next chance.
        signal.signal(signal.SIGIO, signal.SIG_DFL if _IS_DEADLY else _exit)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
        if select.select([lifeline], [], [], 0)[0]:  # closed before this was set up
            os._exit(1)


def _exit(*_: object) -> None:
    os._exit(1)


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
