"""Heartbeats for streams. Proxies close streams that send nothing for too long."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

HEARTBEAT_SECONDS = 15.0
"""Seconds of silence before a heartbeat. nginx, for example, closes a stream after 60 s."""
HEARTBEAT = b": alive\r\n\r\n"
"""A comment, which clients of server-sent events ignore."""
_MAX_BUFFERED = 64
"""The maximum number of frames buffered for a slow client."""


async def with_heartbeat(frames: AsyncGenerator[bytes], seconds: float) -> AsyncGenerator[bytes]:
    """Yield the frames, and a comment after `seconds` without one. Frames that are waiting are joined.

    Closing this generator closes `frames`. They run in a task of their own, so that a heartbeat never
    cancels what they wait for.
    """
    buffer = _HeartbeatBuffer(frames, seconds)
    try:
        while (data := await buffer.read()) is not None:
            yield data
    finally:
        buffer.stop()


class _HeartbeatBuffer:
    def __init__(self, frames: AsyncGenerator[bytes], seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._frames: deque[bytes] = deque()
        self._has_data, self._has_space = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run(frames))
        self._task.add_done_callback(self._end)
        self._sent_at = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._add_heartbeat)

    async def read(self) -> bytes | None:
        """Wait for frames and return them joined; None at the end. Raise the errors of the frames."""
        while not self._frames:
            if self._task.done():
                return self._task.result()
            self._has_data.clear()
            await self._has_data.wait()
        data = b"".join(self._frames)
        self._frames.clear()
        self._has_space.set()
        self._sent_at = self._loop.time()
        return data

    def stop(self) -> None:
        """Stop, because nobody reads any more. The frames clean up in their own task."""
        self._timer.cancel()
        self._task.cancel()

    async def _run(self, frames: AsyncGenerator[bytes]) -> None:
        async with aclosing(frames):
            async for frame in frames:
                self._frames.append(frame)
                self._has_data.set()
                if len(self._frames) > _MAX_BUFFERED:
                    self._has_space.clear()
                    await self._has_space.wait()

    def _end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # marks it as retrieved: `read` raises it if somebody still waits
        self._has_data.set()

    def _add_heartbeat(self) -> None:
        left = self._sent_at + self._seconds - self._loop.time()
        if left <= 0:
            left = self._seconds
            if not self._frames:
                self._frames.append(HEARTBEAT)
                self._has_data.set()
        self._timer = self._loop.call_later(left, self._add_heartbeat)
