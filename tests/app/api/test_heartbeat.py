"""Tests of heartbeats: an idle stream sends comments, and closing a stream cancels its source."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from app.api.heartbeat import HEARTBEAT, with_heartbeat

BRIEF, NEVER = 0.01, 3_600.0


class FrameSource:
    """A source of frames that waits for `go_on` and records whether it was closed or cancelled."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.closed = asyncio.Event()
        self.cancelled = 0

    async def frames(self, *frames: bytes) -> AsyncGenerator[bytes]:
        try:
            for frame in frames:
                await self.go_on.wait()
                yield frame
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.closed.set()


async def test_silence_is_broken_and_what_is_waited_for_comes_all_the_same() -> None:
    source = FrameSource()
    async with aclosing(with_heartbeat(source.frames(b"one", b"two"), BRIEF)) as stream:
        for _ in range(3):
            assert await anext(stream) == HEARTBEAT
        source.go_on.set()
        said = b"".join([piece async for piece in stream])
    assert said.replace(HEARTBEAT, b"") == b"onetwo"
    assert source.cancelled == 0


async def test_a_stream_that_is_not_silent_is_left_as_it_is() -> None:
    source = FrameSource()
    source.go_on.set()
    frames = [b"%d" % number for number in range(1_000)]
    pieces = [piece async for piece in with_heartbeat(source.frames(*frames), NEVER)]
    assert b"".join(pieces) == b"".join(frames)


async def test_what_goes_wrong_is_told_after_what_came_before() -> None:
    async def frames() -> AsyncGenerator[bytes]:
        yield b"one"
        raise ValueError("no more")

    stream = with_heartbeat(frames(), NEVER)
    assert await anext(stream) == b"one"
    with pytest.raises(ValueError, match="no more"):
        await anext(stream)


async def test_leaving_ends_what_is_waited_for() -> None:
    source = FrameSource()
    stream = with_heartbeat(source.frames(b"one"), BRIEF)
    assert await anext(stream) == HEARTBEAT
    await stream.aclose()
    await source.closed.wait()
    assert source.cancelled == 1


async def test_being_cancelled_ends_what_is_waited_for() -> None:
    source = FrameSource()

    async def read() -> None:
        async for _ in with_heartbeat(source.frames(b"one"), NEVER):
            pass

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reader.cancel()
    await source.closed.wait()
    with pytest.raises(asyncio.CancelledError):
        await reader


async def test_a_slow_reader_holds_the_stream_back() -> None:
    source, given = FrameSource(), 0

    async def frames() -> AsyncGenerator[bytes]:
        nonlocal given
        async for frame in source.frames(*[b"."] * 10_000):
            given += 1
            yield frame

    source.go_on.set()
    async with aclosing(with_heartbeat(frames(), BRIEF)) as stream:
        await anext(stream)
        await asyncio.sleep(5 * BRIEF)
        assert given < 1_000
