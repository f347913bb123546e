"""The child process that reads untrusted files, started with the arguments `MODULE:FUNCTION MEMORY`.

Each frame on standard input is a list of calls; the process answers each call with one frame on standard
output. It exits at the end of its input, or at once when the parent's end of standard error is closed.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import msgspec

from storage.errors import IbidError
from storage.processes.frames import encode_frame, read_frame
from storage.processes.parent import end_with_parent

if sys.platform != "win32":
    import resource

_NIL = msgspec.Raw(b"\xc0")  # nil
_DAMAGED = "It is damaged, or its suffix is wrong."


class FunctionCall(msgspec.Struct):
    """One call of the function."""

    arguments: tuple[bytes | int, ...]
    """A path is sent as bytes, because a file name need not be valid text."""
    cpu_seconds: int
    """The CPU time after which the system ends the process, even if the parent no longer waits."""


class Reply(msgspec.Struct):
    """The outcome of one call: a result, a reason for failure, or `out_of_memory`."""

    result: msgspec.Raw = _NIL
    reason: str = ""
    out_of_memory: bool = False


def main() -> None:
    """Answer calls until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    name, limit = sys.argv[1:]
    _limit_memory(int(limit))
    # A library's prints are dropped, so that they cannot corrupt the frames or fill the parent's pipe.
    replies, pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb"), os.dup(sys.stderr.fileno())
    end_with_parent(pipe)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    module, _, function = name.partition(":")
    call = cast("Callable[..., Any]", getattr(import_module(module), function))
    with suppress(ConnectionError):  # the end of the input
        while True:
            calls = msgspec.msgpack.decode(read_frame(sys.stdin.buffer), type=list[FunctionCall])
            for one in calls:
                _limit_time(one.cpu_seconds)
                replies.write(_answer(call, one))
                replies.flush()


def _answer(call: Callable[..., Any], request: FunctionCall) -> bytes:
    """Return the reply as a frame."""
    arguments = (
        Path(os.fsdecode(value)) if isinstance(value, bytes) else value
        for value in request.arguments
    )
    try:
        return encode_frame(Reply(result=msgspec.Raw(msgspec.msgpack.encode(call(*arguments)))))
    except IbidError as error:
        return encode_frame(Reply(reason=str(error)))
    except MemoryError:
        return encode_frame(Reply(out_of_memory=True))
    except Exception:
        return encode_frame(Reply(reason=_DAMAGED))


def _limit_memory(limit: int) -> None:
    """Limit the address space, in bytes, where the system supports it; elsewhere, only time is limited."""
    if sys.platform != "win32":
        _limit(resource.RLIMIT_AS, limit)


def _limit_time(seconds: int) -> None:
    if sys.platform != "win32":
        _limit(resource.RLIMIT_CPU, int(time.process_time()) + 1 + seconds)


def _limit(kind: int, limit: int) -> None:
    if sys.platform != "win32":
        _, hard = resource.getrlimit(kind)
        if hard == resource.RLIM_INFINITY or limit < hard:
            with suppress(OSError, ValueError):  # macOS refuses to set some limits
                resource.setrlimit(kind, (limit, hard))


if __name__ == "__main__":
    main()
