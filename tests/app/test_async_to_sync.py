"""Callers that are not async, and the event loop that the work has to be done on."""

import asyncio

import pytest

from app.async_to_sync import run_blocking, running_loop


async def get_running_loop() -> asyncio.AbstractEventLoop | None:
    return running_loop()


async def test_another_thread_waits_for_work_on_the_loop() -> None:
    home = running_loop()
    assert await asyncio.to_thread(run_blocking, get_running_loop(), home) is home


async def test_the_loop_itself_never_waits_for_its_own_work() -> None:
    with pytest.raises(RuntimeError, match="await the async method"):
        run_blocking(get_running_loop(), running_loop())


def test_a_script_runs_the_loop_that_it_paused() -> None:
    with asyncio.Runner() as runner:
        home = runner.get_loop()
        assert run_blocking(get_running_loop(), home) is home


def test_without_a_loop_nobody_waits() -> None:
    with pytest.raises(RuntimeError, match="await the async method"):
        run_blocking(get_running_loop(), running_loop())
