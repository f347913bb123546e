"""Tests of clients that disconnect during a turn or wait long; the application is called directly as ASGI."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar
from pydantic import SecretStr

from app.api import create_app
from app.wiring import Services
from tests.app.api.calls import API, FUEL
from tests.app.api.conftest import local
from tests.doubles.services import Doubles


class ClientConnection:
    """A question from a client that disconnects when `leave` is set."""

    def __init__(self, app: Litestar, conversation: UUID, accept: str) -> None:
        self.status = 0
        self.body = b""
        self.leave = asyncio.Event()
        self._sent = False
        path = f"{API}/conversations/{conversation}/messages"
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"accept", accept.encode()), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
            "app": app,
            "state": {},
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))  # type: ignore[arg-type]

    async def _receive(self) -> Any:
        if self._sent:
            await self.leave.wait()
            return {"type": "http.disconnect"}
        self._sent = True
        return {"type": "http.request", "body": json.dumps({"text": FUEL}).encode()}

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.leave.set()  # a server also reports a disconnect after the last byte


@asynccontextmanager
async def opened(
    doubles: Doubles, docs: Path, model: str, heartbeat: float = 3_600.0
) -> AsyncIterator[tuple[Litestar, Services]]:
    """Open the API with the keeper's manual ingested and one model of the OpenRouter double."""
    settings = local(
        docs.parent,
        allowed_hosts="*",
        openrouter_api_key=SecretStr("any"),
        openrouter_base_url=doubles.openrouter,
        openrouter_models=f"double/{model}",
    )
    app = create_app(settings, heartbeat=heartbeat)
    async with app.lifespan():
        services: Services = app.state.services
        await services.ingestion.run([docs])
        yield app, services


async def wait_until_streaming(doubles: Doubles) -> None:
    while not doubles.requested_models or doubles.log[-1].pieces < 5:  # noqa: ASYNC110 - told by no event
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("model", ["drips", "keeps-alive"])
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_who_leaves_hangs_up_on_the_model(
    doubles: Doubles, docs: Path, accept: str, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="ibid")
    async with opened(doubles, docs, model) as (app, services):
        conversation = (await services.chat.start()).id
        visit = ClientConnection(app, conversation, accept)
        await wait_until_streaming(doubles)
        visit.leave.set()
        assert (await doubles.wait_until_ended()).ended == "left"
        await visit.task
        assert b"completed" not in visit.body
        while not (await services.usages.report(1)).spent:  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(0.005)
        _, messages = await services.history.messages(conversation)
    assert [message.role for message in messages] == ["user"], "it can be asked again"
    (line,) = [each for each in caplog.records if each.name in ("ibid.api", "ibid.chat")]
    assert (line.msg, line.levelname) == ("turn_stopped", "INFO")
    assert vars(line)["conversation_id"] == conversation


async def test_a_model_that_thinks_long_is_waited_for_with_comments(
    doubles: Doubles, docs: Path
) -> None:
    async with opened(doubles, docs, "thinks-600-ms", heartbeat=0.02) as (app, services):
        visit = ClientConnection(app, (await services.chat.start()).id, "text/event-stream")
        await visit.task
    retrieved, *_, last = (part for part in visit.body.split(b"\r\n\r\n") if part)
    assert retrieved.startswith(b"event: retrieved")
    assert last.startswith(b"event: completed")
    between = visit.body[len(retrieved) : visit.body.index(b"event: token")]
    assert between.count(b": alive\r\n\r\n") > 2


async def test_who_stays_gets_the_answer(doubles: Doubles, docs: Path) -> None:
    async with opened(doubles, docs, "answers") as (app, services):
        visit = ClientConnection(app, (await services.chat.start()).id, "application/json")
        await visit.task
    assert visit.status == 201
    assert "2.4 litres" in json.loads(visit.body)["text"]
