"""Work beside whoever gives it: never two pieces at once, and no failure goes unheard."""

import asyncio
from contextlib import aclosing
from functools import partial

import pytest

from storage.concurrency import BackgroundWriter, prefetch, run_to_completion


class RecordedWork:
    """Pieces that take a moment, and what became of them."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []

    async def piece(self, name: str) -> None:
        assert len(self.begun) == len(self.done), "another one is under way"
        self.begun.append(name)
        await asyncio.sleep(0.01)
        self.done.append(name)

    async def failing(self) -> None:
        await asyncio.sleep(0)
        raise OSError("no space")


async def test_one_piece_goes_on_while_the_next_is_made_ready() -> None:
    work = RecordedWork()
    async with BackgroundWriter() as beside:
        await beside.start(lambda: work.piece("one"))
        assert (work.begun, work.done) == (["one"], [])
        await beside.start(lambda: work.piece("two"))
        assert (work.begun, work.done) == (["one", "two"], ["one"])
    assert work.done == ["one", "two"]


async def test_a_failure_is_told_by_the_next_piece_or_at_the_end() -> None:
    work = RecordedWork()

    async def next_piece() -> None:
        async with BackgroundWriter() as beside:
            await beside.start(work.failing)
            await beside.start(lambda: work.piece("never"))

    async def end() -> None:
        async with BackgroundWriter() as beside:
            await beside.start(work.failing)

    for caller in (next_piece, end):
        with pytest.raises(OSError, match="no space"):
            await caller()
    assert work.begun == []


async def test_an_error_lets_what_is_under_way_come_to_its_end() -> None:
    work = RecordedWork()

    async def caller() -> None:
        async with BackgroundWriter() as beside:
            await beside.start(lambda: work.piece("paid"))
            raise ValueError("the budget is spent")

    with pytest.raises(ValueError, match="spent"):
        await caller()
    assert work.done == ["paid"]


async def test_cancelling_the_caller_cancels_the_work() -> None:
    begun, is_cancelled = asyncio.Event(), False

    async def endless() -> None:
        nonlocal is_cancelled
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            is_cancelled = True
            raise

    async def caller() -> None:
        async with BackgroundWriter() as beside:
            await beside.start(endless)
            await asyncio.Event().wait()

    task = asyncio.create_task(caller())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_cancelled


async def test_without_work_there_is_nothing_to_wait_for() -> None:
    async with BackgroundWriter():
        pass


async def test_the_next_piece_is_under_way_while_one_is_taken_in() -> None:
    begun: list[int] = []

    async def piece(number: int) -> int:
        begun.append(number)
        await asyncio.sleep(0)
        return number

    seen: list[tuple[int, list[int]]] = []
    async with aclosing(prefetch(partial(piece, number) for number in range(3))) as pieces:
        async for number in pieces:
            await asyncio.sleep(0)
            seen.append((number, [*begun]))
    assert seen == [(0, [0, 1]), (1, [0, 1, 2]), (2, [0, 1, 2])]


async def test_who_takes_no_more_ends_what_is_under_way() -> None:
    ended: list[int] = []

    async def piece(number: int) -> int:
        try:
            await asyncio.sleep(60 * number)
        finally:
            ended.append(number)
        return number

    async with aclosing(prefetch(partial(piece, number) for number in range(3))) as pieces:
        assert await anext(pieces) == 0
    assert ended == [0, 1]


async def test_what_must_end_does_however_often_its_caller_is_cancelled() -> None:
    done: list[str] = []

    async def commit() -> None:
        await asyncio.sleep(0.02)
        done.append("committed")

    caller = asyncio.create_task(run_to_completion(commit()))
    for _ in range(3):
        await asyncio.sleep(0)
        caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert done == ["committed"]


async def test_what_ends_badly_is_told() -> None:
    with pytest.raises(OSError, match="no space"):
        await run_to_completion(RecordedWork().failing())
