"""Server-sent events as bytes; the names of the events are the caller's.

Litestar's own response is not used: it gets the first event from a thread and builds each event line by line.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import cast

from litestar import Request
from litestar.datastructures import State
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK
from litestar.types import Scope

from app.api.heartbeat import with_heartbeat

FailureFrame = Callable[[Mapping[str, object]], bytes]
"""Builds the last frame of a stream from the problem that ended it."""
_FAILURE_FRAME = "failure_frame"


def sse_response(
    frames: AsyncGenerator[bytes],
    heartbeat: float,
    status_code: int = HTTP_200_OK,
    headers: Mapping[str, str] | None = None,
) -> Stream:
    """Return a stream that forbids caching and buffering. It has a comment after `heartbeat` idle seconds."""
    return Stream(
        with_heartbeat(frames, heartbeat),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **(headers or {})},
        status_code=status_code,
    )


def encode_event(data: str, event: str | None = None) -> bytes:
    """Build a frame, with the event's name if it has one. `data` is JSON without line breaks."""
    name = "" if event is None else f"event: {event}\r\n"
    return f"{name}data: {data}\r\n\r\n".encode()


def set_failure_frame(request: Request[object, object, State], frame: FailureFrame) -> None:
    """Set how the stream of a request ends if the server stops before its end."""
    cast("dict[str, object]", request.scope["state"])[_FAILURE_FRAME] = frame


def get_failure_frame(scope: Scope) -> FailureFrame | None:
    """Return what `set_failure_frame` set, or None."""
    return cast("dict[str, FailureFrame]", scope.get("state") or {}).get(_FAILURE_FRAME)
