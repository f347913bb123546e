"""Work that goes on beside whoever gives it or takes it in, a piece at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


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


class Behind:
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
        await asyncio.wait([self._task])
        if error is None:
            self._task.result()
        elif not self._task.cancelled():
            self._task.exception()  # the first error is told, and this one taken note of

    async def begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Once the piece before is done; raises what that raised."""
        if self._task:
            await self._task
        self._task = asyncio.create_task(work())
        await asyncio.sleep(0)  # its first step is taken before the caller computes on
