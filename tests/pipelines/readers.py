"""Readers that go wrong, each by the file's name: what workers are tested with."""

import os
import sys
from pathlib import Path, PurePosixPath

from pipelines.reading import Reading, read_file
from storage.errors import SourceUnreadable


def read_badly(path: Path, relative: PurePosixPath) -> Reading:
    match relative.stem:
        case "loop":
            while True:
                pass
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
