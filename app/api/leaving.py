"""Cancellation of work for clients that disconnect before they get the answer."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from litestar import Request
from litestar.datastructures import State

T = TypeVar("T")


async def unless_left(
    work: Coroutine[Any, Any, T], request: Request[object, object, State]
) -> T | None:
    """Return the result of the work; cancel it and return None if the client disconnects first.

    The request's body must have been read before.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait([working, leaving])


async def _left(request: Request[object, object, State]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
