"""Faulty readers for the tests of the sandbox; the file's name selects the fault."""

import os
import sys
from collections import deque
from contextlib import suppress
from dataclasses import replace
from itertools import repeat
from pathlib import Path, PurePath, PurePosixPath

from pipelines.readers import SourceDocument, read_file
from storage.errors import SourceUnreadable


def read_badly(path: Path, relative: PurePath) -> SourceDocument:
    match relative.stem:
        case "loop":
            while True:
                pass
        case "stuck" | "forged":  # a loop in C: no other Python thread or signal handler can run
            if relative.stem == "forged":
                forge_reply()
            deque(repeat(None), maxlen=0)
        case "greed":
            hoard = [bytearray(100_000_000) for _ in range(1000)]
            assert hoard
        case "crash":
            os.abort()
        case "fault":
            raise LookupError(relative)
        case "keys":
            raise SourceUnreadable(f"It sees {os.environ.get('COHERE_API_KEY')}.")
        case "noise":
            print("{" * 100_000, flush=True)
            print("}", file=sys.stderr, flush=True)
        case _:
            pass
    return read_file(path, relative)


def forge_reply() -> None:
    """Send what a file that has taken over its reader might send instead of a reply."""
    for descriptor in range(3, 10):
        with suppress(OSError):
            os.write(descriptor, b"\xff" * 8)


def read_newer(path: Path, relative: PurePath) -> SourceDocument:
    """Read a file like a newer version of the reader, which adds itself to the metadata."""
    return replace(read_file(path, PurePosixPath(relative)), metadata={"reader": "new"})
