"""The same stories on both databases."""

from pathlib import Path

import pytest

from app.settings import Settings
from tests.conftest import fresh_database

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)]


def other_database(request: pytest.FixtureRequest) -> str | None:
    """None for the file in a home."""
    if request.param == "sqlite":
        return None
    return fresh_database(request, request.param, Path(), empty=False)


@pytest.fixture(params=DATABASES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(ibid_home=tmp_path / "home", database_url=other_database(request))
