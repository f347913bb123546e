"""The worker process for untrusted files, started as `MODULE MODULE:FUNCTION MEMORY LIFELINE`.

Each frame on standard input is a list of requests; the process answers each request with one frame
on standard output. A frame is a length of four bytes, then MessagePack, which unlike pickle cannot
run code when it is decoded. The process exits at the end of its input, or immediately when the other
end of the pipe `lifeline` is closed.
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
_DAMAGED = "It is damaged, or its suffix is wrong."
_LENGTH = 4
_IS_DEADLY = platform.system() == "Linux"


class FunctionCall(msgspec.Struct):
    """One call of the function."""

    arguments: tuple[bytes | int, ...]
    """A path is sent as bytes, because a file name need not be valid text."""
    cpu_seconds: int
    """The CPU time after which the system ends the process, even if the parent no longer waits."""


class Reply(msgspec.Struct):
    """The outcome of one call: a result, a reason for failure, or `out_of_memory`."""

    result: msgspec.Raw = _NOTHING
    reason: str = ""
    out_of_memory: bool = False


def write_frame(stream: IO[bytes], message: Reply | list[FunctionCall]) -> None:
    """Write one frame; raise `OSError` if the other end is closed."""
    body = msgspec.msgpack.encode(message)
    stream.write(len(body).to_bytes(_LENGTH, "big") + body)
    stream.flush()


def read_reply(stream: IO[bytes]) -> Reply | None:
    """Read one reply; return None if the process ended before it was complete."""
    body = _read_body(stream)
    return msgspec.msgpack.decode(body, type=Reply) if body else None


def _read_body(stream: IO[bytes]) -> bytes | None:
    length = stream.read(_LENGTH)
    size = int.from_bytes(length, "big")
    body = stream.read(size) if len(length) == _LENGTH else b""
    return body if body and len(body) == size else None


def main() -> None:
    """Answer requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    name, limit, lifeline = sys.argv[1:]
    _limit_memory(int(limit))
    if lifeline:
        _end_with_parent(int(lifeline))
    requests = sys.stdin.buffer
    # A library's prints go to standard error, so that they cannot corrupt the frames.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    module, _, function = name.partition(":")
    call = cast("Callable[..., Any]", getattr(import_module(module), function))
    while body := _read_body(requests):
        for request in msgspec.msgpack.decode(body, type=list[FunctionCall]):
            _limit_time(request.cpu_seconds)
            reply = _outcome(call, request)
            write_frame(replies, reply)
            if reply.out_of_memory:  # a new process starts with free memory
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
    """End this process by a signal when the other end of `lifeline` is closed.

    On Linux, the signal also ends native code that never returns to Python.
    """
    if sys.platform != "win32":
        # Where SIGIO does not end a process by default, a Python handler exits as soon as it can run.
        signal.signal(signal.SIGIO, signal.SIG_DFL if _IS_DEADLY else _exit)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
        if select.select([lifeline], [], [], 0)[0]:  # it was closed before the signal was set up
            os._exit(1)


def _exit(*_: object) -> None:
    os._exit(1)


def _limit_memory(limit: int) -> None:
    """Limit the address space, in bytes, where the system supports it; elsewhere, only time is limited."""
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
            with suppress(OSError, ValueError):  # macOS refuses to set some limits
                resource.setrlimit(which, (limit, hard))


if __name__ == "__main__":
    main()
