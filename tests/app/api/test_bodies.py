"""Tests of requests whose body does not arrive."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from litestar.exceptions import HTTPException

from app.api.bodies import BodyTimeout


async def receive_parts(parts: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return what an application gets from `count` receives, if the client sends only these parts."""
    sent, got = iter(parts), list[dict[str, Any]]()

    async def receive() -> Any:
        part = next(sent, None)
        return part or await asyncio.Event().wait()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        got.extend([await receive() for _ in range(count)])

    await BodyTimeout(application, seconds=0.05)({"type": "http"}, receive, None)  # type: ignore[arg-type]
    return got


PART = {"type": "http.request", "body": b"{", "more_body": True}
LAST = {"type": "http.request", "body": b"}", "more_body": False}


@pytest.mark.parametrize("parts", [[], [PART], [PART, PART]])
async def test_a_body_that_stops_coming_is_not_waited_for(parts: list[dict[str, Any]]) -> None:
    with pytest.raises(HTTPException, match="No data of the request's body arrived") as refused:
        await receive_parts(parts, 3)
    assert refused.value.status_code == 408


async def test_a_client_that_has_sent_all_may_be_silent_for_as_long_as_it_likes() -> None:
    assert await receive_parts([PART, LAST], 2) == [PART, LAST]
    with pytest.raises(TimeoutError):  # raised by `wait_for`, not by BodyTimeout
        await asyncio.wait_for(receive_parts([PART, LAST], 3), 0.5)
