"""An embedded index of one's own, in a process of its own."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from storage.index.client import open_embedded
from storage.index.engine import Engine
from tests.storage.points import SCHEMA


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
async def engine(folder: Path) -> AsyncGenerator[Engine]:
    """With an empty collection, `c`."""
    async with open_embedded(folder) as engine:
        await engine.create("c", SCHEMA)
        yield engine
