"""Heartbeats for streams. Proxies close streams that send nothing for too long."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

HEARTBEAT_SECONDS = 15.0
"""Seconds of silence before a heartbeat. nginx, for example, closes a stream after 60 s."""
COMMENT = b": alive\r\n\r\n"
"""A comment, which clients of server-sent events ignore."""
_AHEAD = 64
"""The maximum number of frames buffered for a slow client."""


async def with_heartbeat(frames: AsyncGenerator[bytes], seconds: float) -> AsyncGenerator[bytes]:
    """Yield the frames, and a comment after `seconds` without one. Frames that are waiting are joined.

    Closing this generator closes `frames`. They run in a task of their own, so that a heartbeat never
    cancels what they wait for.
    """
    beating = _Beating(frames, seconds)
    try:
        while (piece := await beating.piece()) is not None:
            yield piece
    finally:
        beating.stop()


class _Beating:
    def __init__(self, frames: AsyncGenerator[bytes], seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._waiting: deque[bytes] = deque()
        self._changed, self._room = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run(frames))
        self._task.add_done_callback(self._end)
        self._told = self._loop.time()
        self._alarm = self._loop.call_later(seconds, self._beat)

    async def piece(self) -> bytes | None:
        """Wait for frames and return them joined; None at the end. Raise the errors of the frames."""
        while not self._waiting:
            if self._task.done():
                return self._task.result()
            self._changed.clear()
            await self._changed.wait()
        piece = b"".join(self._waiting)
        self._waiting.clear()
        self._room.set()
        self._told = self._loop.time()
        return piece

    def stop(self) -> None:
        """Stop, because nobody reads any more. The frames clean up in their own task."""
        self._alarm.cancel()
        self._task.cancel()

    async def _run(self, frames: AsyncGenerator[bytes]) -> None:
        async with aclosing(frames):
            async for frame in frames:
                self._waiting.append(frame)
                self._changed.set()
                if len(self._waiting) > _AHEAD:
                    self._room.clear()
                    await self._room.wait()

    def _end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # marks it as retrieved: `piece` raises it if somebody still waits
        self._changed.set()

    def _beat(self) -> None:
        left = self._told + self._seconds - self._loop.time()
        if left <= 0:
            left = self._seconds
            if not self._waiting:
                self._waiting.append(COMMENT)
                self._changed.set()
        self._alarm = self._loop.call_later(left, self._beat)
