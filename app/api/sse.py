"""Server-sent events, one a frame.

Litestar's own response asks a thread for the first of them, and each is put together a line at a time.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from app.api.heartbeat import with_heartbeat
from app.api.problems import problem_body
from app.api.request_log import note_failure
from app.chat.events import ChatEvent


async def stream(events: AsyncGenerator[ChatEvent], heartbeat: float) -> Stream:
    """One frame an event. A turn that fails before its first event is a plain problem instead."""
    return framed(_frames(await anext(events), events), heartbeat, HTTP_201_CREATED)


def framed(
    frames: AsyncGenerator[bytes], heartbeat: float, status_code: int = HTTP_200_OK
) -> Stream:
    """That neither a cache nor a proxy holds back; with a comment after `heartbeat` silent seconds."""
    return Stream(
        with_heartbeat(frames, heartbeat),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        status_code=status_code,
    )


def frame(event: str, data: str) -> bytes:
    """Data is JSON, which has no line breaks."""
    return f"event: {event}\r\ndata: {data}\r\n\r\n".encode()


async def _frames(first: ChatEvent, events: AsyncGenerator[ChatEvent]) -> AsyncGenerator[bytes]:
    """An error after the first byte becomes a last `failed` frame with the problem's body."""
    async with aclosing(events):
        try:
            yield _said(first)
            async for event in events:
                yield _said(event)
        except Exception as error:  # a client must not take half an answer for a whole
            note_failure(error)
            yield _failed(problem_body(error))


def _failed(body: dict[str, object]) -> bytes:
    return frame("failed", json.dumps(body))


def _said(event: ChatEvent) -> bytes:
    return frame(event.kind, event.model_dump_json(exclude={"kind"}))
