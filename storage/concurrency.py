"""Work that goes on beside whoever gives it or takes it in, a piece at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


async def to_its_end(work: Awaitable[None]) -> None:
    """However often its caller is cancelled, who is told so afterwards: what is half done is lost."""
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


async def ahead(pieces: Iterable[Callable[[], Coroutine[Any, Any, T]]]) -> AsyncGenerator[T]:
    """What each gives, in their order; while one is taken in, the next is under way."""
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
    """One piece at most is under way, and leaving waits for it, also after an error: it may have cost
    money. Only whoever is cancelled cancels it."""

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
            await to_its_end(self._task)
        except BaseException:
            if error is None:  # otherwise the first error is told
                raise

    async def begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Once the piece before is done; raises what that raised."""
        if self._task:
            await self._task
        self._task = asyncio.create_task(work())
        await asyncio.sleep(0)  # its first step is taken before the caller computes on
