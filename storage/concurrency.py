"""Helpers for tasks that run in the background, one piece of work at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


async def run_to_completion(work: Awaitable[None]) -> None:
    """Await `work` until it ends, even if the caller is cancelled; half-finished work would be lost.

    The cancellation is raised again afterwards.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        task.result()
    else:
        await asyncio.gather(task, return_exceptions=True)
        raise cancelled


async def prefetch(pieces: Iterable[Callable[[], Coroutine[Any, Any, T]]]) -> AsyncGenerator[T]:
    """Yield the result of each piece in order; the next piece runs while the caller uses the current one."""
    pending: deque[asyncio.Task[T]] = deque()
    try:
        for piece in pieces:
            pending.append(asyncio.create_task(piece()))
            if len(pending) > 1:
                yield await pending.popleft()
        if pending:
            yield await pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


class BackgroundWriter:
    """A context that runs at most one piece of work in the background.

    Leaving the context waits for that piece, also after an error, because the piece may have cost money.
    The piece is cancelled only if the caller is cancelled.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._task is None:
            return
        if error and not isinstance(error, Exception):
            self._task.cancel()
        try:
            await run_to_completion(self._task)
        except BaseException:
            if error is None:  # otherwise the first error is raised
                raise

    async def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait for the previous piece, raise its error if it failed, and start this one."""
        if self._task:
            await self._task
        self._task = asyncio.create_task(work())
        await asyncio.sleep(0)  # let the task start before the caller continues
