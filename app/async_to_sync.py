"""Calls of async code from synchronous code, on the event loop where the services were opened."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def run_blocking(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None) -> T:
    """Run `work` on the event loop `loop`, and block until it returns its result.

    Raise `RuntimeError` if called on that loop itself, where it would deadlock.
    """
    if loop is None or loop is running_loop():
        work.close()
        raise RuntimeError(
            "Ibid works on the event loop it was opened in, and cannot block it: await the async "
            "method of this name, or call this one in a thread (`await asyncio.to_thread(...)`)."
        )
    if loop.is_running():
        return asyncio.run_coroutine_threadsafe(work, loop).result()
    return loop.run_until_complete(work)
