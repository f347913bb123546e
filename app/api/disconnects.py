"""Cancellation of work for clients that disconnect before they get the answer."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from litestar import Request
from litestar.datastructures import State

T = TypeVar("T")


async def unless_disconnected(
    work: Coroutine[Any, Any, T], request: Request[object, object, State]
) -> T | None:
    """Return the result of the work; cancel it and return None if the client disconnects first.

    The request's body must have been read before.
    """
    task = asyncio.create_task(work)
    disconnect = asyncio.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait([task, disconnect], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        disconnect.cancel()
        await asyncio.wait([task, disconnect])


async def _wait_for_disconnect(request: Request[object, object, State]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
