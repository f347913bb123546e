"""A home with the keeper's manual in it."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.index.embedded.client import open_embedded
from tests.app.cli.commands import run_ibid
from tests.library import write_docs


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Ingested once for all the tests of a file, from the folder `docs` beside it.

    Another door is open meanwhile, so that no command has to wait for an engine to start.
    """
    folder = tmp_path_factory.mktemp("cli")
    done = run_ibid(folder / "home", "ingest", write_docs(folder / "docs"))
    assert done.exit_code == 0, done.output
    leave = threading.Event()

    async def stay() -> None:
        async with open_embedded(folder / "home/index"):
            await asyncio.to_thread(leave.wait)

    with ThreadPoolExecutor(1) as pool:
        staying = pool.submit(asyncio.run, stay())
        yield folder / "home"
        leave.set()
        staying.result()
