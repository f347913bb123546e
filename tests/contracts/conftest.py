"""Every engine there is, empty: what passes with one has to pass with all."""

import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest

from storage.index.embedded.client import open_embedded
from storage.index.engine import IndexEngine, Schema
from storage.index.server.engine import IN_MEMORY, open_server

# Read here, because a test sees no setting of the machine it runs on.
SERVER = os.environ.get("QDRANT_URL", "")
SERVER_KEY = os.environ.get("QDRANT_API_KEY")

needs_server = pytest.mark.skipif(not SERVER, reason="QDRANT_URL names no server to test against")


class Make(Protocol):
    """Makes an empty collection of vectors of some dimension, and gives its name."""

    async def __call__(
        self, dimension: int, *, on_disk: bool = False, quantized: bool = False
    ) -> str: ...


@pytest.fixture(params=["embedded", "memory", pytest.param("server", marks=needs_server)])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[IndexEngine]:
    opened: dict[str, AbstractAsyncContextManager[IndexEngine]] = {
        "embedded": open_embedded(tmp_path / "index"),
        "memory": open_server(IN_MEMORY),
        "server": open_server(SERVER, SERVER_KEY),
    }
    async with opened[request.param] as engine:
        yield engine


@pytest.fixture
async def make(engine: IndexEngine) -> AsyncGenerator[Make]:
    """Collections under names of their own, removed afterwards: a real server is shared."""
    made: list[str] = []

    async def make(dimension: int, *, on_disk: bool = False, quantized: bool = False) -> str:
        made.append(f"test-{uuid4().hex}")
        schema = Schema(dimension, ["corpus", "state"], ["version"], on_disk, quantized)
        await engine.create(made[-1], schema)
        return made[-1]

    yield make
    for name in made:
        await engine.drop(name)
