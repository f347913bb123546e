"""Streams that are never silent for long, as proxies hang up on those that are."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

HEARTBEAT_SECONDS = 15.0
"""nginx, for one, waits for 60."""
COMMENT = b": alive\r\n\r\n"
"""What readers of server-sent events pass over."""
_AHEAD = 64
"""Frames that wait for a slow reader."""


async def with_heartbeat(frames: AsyncGenerator[bytes], seconds: float) -> AsyncGenerator[bytes]:
    """The same frames, those that wait in one piece; and a comment after so long a silence.

    Closing it closes `frames`, which run in a task of their own: what they wait for is never cancelled
    by the silence, only by the end.
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
        """What waits, once there is something; None at the end. Raises what the frames raise."""
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
        """Nobody reads on. What the frames do at their end, they do in their own task."""
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
            task.exception()  # whoever waits for a piece is told; without one, nobody is
        self._changed.set()

    def _beat(self) -> None:
        left = self._told + self._seconds - self._loop.time()
        if left <= 0:
            left = self._seconds
            if not self._waiting:
                self._waiting.append(COMMENT)
                self._changed.set()
        self._alarm = self._loop.call_later(left, self._beat)
