"""Deadlines of an answer: what counts towards them, and that they end nothing but a wait."""

import asyncio
import contextlib
import itertools
import time

import pytest

from app.llms.hosted.deadline import StreamDeadline


async def wait_forever() -> None:
    await asyncio.Event().wait()


def cancellations() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def count_waits(deadline: StreamDeadline, *, heard: bool) -> int:
    """How many short ones it takes until it is over."""
    for number in itertools.count():
        try:
            await deadline.wait(asyncio.sleep(0.03))
        except TimeoutError:
            return number
        if heard:
            deadline.restart_idle_timeout()
    raise AssertionError


async def test_words_that_keep_coming_are_waited_for() -> None:
    patience = StreamDeadline(idle_timeout=0.1, total_timeout=10)
    for number in range(5):
        assert await patience.wait(asyncio.sleep(0.06, number)) == number
        patience.restart_idle_timeout()


async def test_a_silence_ends_the_wait_and_nothing_else() -> None:
    patience = StreamDeadline(idle_timeout=0.05, total_timeout=10)
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            await patience.wait(wait_forever())
        patience.restart_idle_timeout()
        assert 0.04 < time.monotonic() - started < 5
        assert cancellations() == 0
    assert await patience.wait(asyncio.sleep(0.01, "heard")) == "heard"


async def test_what_says_nothing_does_not_stretch_the_silence() -> None:
    assert await count_waits(StreamDeadline(idle_timeout=0.1, total_timeout=10), heard=False) <= 3


async def test_words_do_not_stretch_the_whole() -> None:
    assert await count_waits(StreamDeadline(idle_timeout=0.1, total_timeout=0.2), heard=True) <= 6


async def test_a_slow_reader_uses_nothing_up() -> None:
    patience = StreamDeadline(idle_timeout=0.1, total_timeout=0.1)
    for _ in range(3):
        await patience.wait(asyncio.sleep(0.01))
        await asyncio.sleep(0.1)
    assert cancellations() == 0


async def test_a_cancellation_from_outside_stays_one() -> None:
    patience = StreamDeadline(idle_timeout=10, total_timeout=10)
    waiting = asyncio.create_task(patience.wait(wait_forever()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_cancellation_from_outside_in_the_same_moment_stays_one() -> None:
    patience = StreamDeadline(idle_timeout=0.02, total_timeout=10)

    async def wait() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(0.02, task.cancel)
        time.sleep(0.03)  # noqa: ASYNC251 - so that both fall due in one round of the loop
        await patience.wait(wait_forever())

    waiting = asyncio.create_task(wait())
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert waiting.cancelled()


async def test_work_that_does_not_let_itself_be_cancelled_leaves_the_task_as_it_was() -> None:
    patience = StreamDeadline(idle_timeout=0.02, total_timeout=10)

    async def stubborn() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await wait_forever()
        return "done"

    assert await patience.wait(stubborn()) == "done"
    assert cancellations() == 0
    with pytest.raises(TimeoutError):
        await patience.wait(wait_forever())
