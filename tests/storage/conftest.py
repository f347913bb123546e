"""An embedded index of one's own, in a process of its own; and a database behind a pooler."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from storage.index.embedded.client import open_embedded
from storage.index.engine import IndexEngine
from tests.postgres import Postgres
from tests.storage.points import SCHEMA
from tests.storage.poolers import pooler


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
async def engine(folder: Path) -> AsyncGenerator[IndexEngine]:
    """With an empty collection, `c`."""
    async with open_embedded(folder) as engine:
        await engine.create("c", SCHEMA)
        yield engine


@pytest.fixture
def pooled(postgres: Postgres, url: str) -> Iterator[str]:
    """The database at `url`, behind PgBouncer in transaction mode."""
    with pooler(postgres) as port:
        yield url.replace(f":{postgres.port}/", f":{port}/")
