"""Chat events as server-sent events."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from litestar.response import ServerSentEvent, ServerSentEventMessage

from app.api.problems import problem_body
from app.chat.events import ChatEvent
from storage.errors import IbidError

_log = logging.getLogger("ibid.api")


async def stream(events: AsyncGenerator[ChatEvent]) -> ServerSentEvent:
    """One frame an event. A turn that fails before its first event is a plain problem instead."""
    first = await anext(events)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return ServerSentEvent(_frames(first, events), headers=headers, status_code=201)


async def _frames(
    first: ChatEvent, events: AsyncGenerator[ChatEvent]
) -> AsyncGenerator[ServerSentEventMessage]:
    """An error after the first byte becomes a last `failed` frame with the problem's body."""
    async with aclosing(events):
        try:
            yield _frame(first)
            async for event in events:
                yield _frame(event)
        except IbidError as error:
            yield _failed(problem_body(error))
        except Exception:  # the outermost loop: a client must not take half an answer for a whole
            _log.exception("a turn failed")
            yield _failed({"status": 500, "title": "Internal Server Error"})


def _failed(body: dict[str, object]) -> ServerSentEventMessage:
    return ServerSentEventMessage(event="failed", data=json.dumps(body))


def _frame(event: ChatEvent) -> ServerSentEventMessage:
    return ServerSentEventMessage(event=event.kind, data=event.model_dump_json(exclude={"kind"}))
