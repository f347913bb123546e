"""The same stories on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.settings import Settings
from app.wiring import Services, open_services
from tests.conftest import fresh_database
from tests.library import write_docs

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)]


def other_database(request: pytest.FixtureRequest) -> str | None:
    """None for the file in a home."""
    if request.param == "sqlite":
        return None
    return fresh_database(request, request.param, Path(), empty=False)


@pytest.fixture(params=DATABASES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(ibid_home=tmp_path / "home", database_url=other_database(request))


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=DATABASES)
async def manual(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Services]:
    """The keeper's manual, ingested once: these stories ask, and change nothing."""
    folder = tmp_path_factory.mktemp("manual")
    # Built past validation, as no test's environment is clean yet.
    settings = Settings.model_construct(
        ibid_home=folder / "home", database_url=other_database(request)
    )
    async with open_services(settings) as services:
        await services.ingestion.run([write_docs(folder / "docs")])
        yield services
