"""Server-sent events, one per frame.

Litestar's own response is not used: it gets the first event from a thread and builds each event line by line.
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


async def stream_response(events: AsyncGenerator[ChatEvent], heartbeat: float) -> Stream:
    """Return a stream with one frame per event. If the turn fails before its first event, raise the error."""
    return sse_response(_encode_events(await anext(events), events), heartbeat, HTTP_201_CREATED)


def sse_response(
    frames: AsyncGenerator[bytes], heartbeat: float, status_code: int = HTTP_200_OK
) -> Stream:
    """Return a stream that forbids caching and buffering. It has a comment after `heartbeat` idle seconds."""
    return Stream(
        with_heartbeat(frames, heartbeat),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        status_code=status_code,
    )


def encode_event(event: str, data: str) -> bytes:
    """Build a frame. `data` is JSON without line breaks."""
    return f"event: {event}\r\ndata: {data}\r\n\r\n".encode()


async def _encode_events(
    first: ChatEvent, events: AsyncGenerator[ChatEvent]
) -> AsyncGenerator[bytes]:
    """Yield a frame per event. An error ends the stream with a `failed` frame that holds the problem."""
    async with aclosing(events):
        try:
            yield _event_frame(first)
            async for event in events:
                yield _event_frame(event)
        except Exception as error:  # the client must learn that the answer is incomplete
            note_failure(error)
            yield _failure_frame(problem_body(error))


def _failure_frame(body: dict[str, object]) -> bytes:
    return encode_event("failed", json.dumps(body))


def _event_frame(event: ChatEvent) -> bytes:
    return encode_event(event.kind, event.model_dump_json(exclude={"kind"}))
