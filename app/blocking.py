"""Synchronous calls of async code, which runs on the event loop where the services were opened."""

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


def wait_for(work: Coroutine[Any, Any, T], home: asyncio.AbstractEventLoop | None) -> T:
    """Run `work` on the event loop `home`, and block until it returns its result.

    Raise `RuntimeError` if called on that loop itself, where it would deadlock.
    """
    if home is None or home is running_loop():
        work.close()
        raise RuntimeError(
            "Ibid works on the event loop it was opened in, and cannot block it: await the async "
            "method of this name, or call this one in a thread (`await asyncio.to_thread(...)`)."
        )
    if home.is_running():
        return asyncio.run_coroutine_threadsafe(work, home).result()
    return home.run_until_complete(work)
