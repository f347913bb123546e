"""Fixtures with the API in this process, with a small manual or without sources."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from app.api import create_app
from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner
from app.settings import Settings
from app.wiring import Services
from tests.app.api.calls import Client
from tests.doubles.scripted import ScriptedLLM
from tests.library import write_docs


def local(folder: Path, **changes: Any) -> Settings:
    """Make settings without validation, so that the machine's environment variables are not read."""
    return Settings.model_construct(ibid_home=folder / "home", **changes)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The API with the keeper's manual ingested."""
    folder = tmp_path_factory.mktemp("api")
    with TestClient(create_app(local(folder, allowed_hosts="*"))) as client:
        services: Services = client.app.state.services
        client.blocking_portal.call(services.ingestion.run, [write_docs(folder / "docs")])
        yield client


@pytest.fixture
def scripted(client: Client, request: pytest.FixtureRequest) -> Iterator[ScriptedLLM]:
    """Replace the model by a scripted one for one test."""
    llm = ScriptedLLM(**request.param)
    services: Services = client.app.state.services
    turns = TurnRunner(services.database, TurnEngine(services.search, llm))
    client.app.state.services = replace(services, turns=turns, chat=ChatService(turns))
    yield llm
    client.app.state.services = services


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The API with default settings, which only accepts this machine's own host names."""
    app = create_app(local(tmp_path_factory.mktemp("guarded")))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client
