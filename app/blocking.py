"""For callers that are not async: work is done on the event loop where the services were opened."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def wait_for(work: Coroutine[Any, Any, T], home: asyncio.AbstractEventLoop | None) -> T:
    """The result of work that belongs to the loop `home`, for a caller in another thread.

    Raises `RuntimeError` where the wait would never end: on that loop itself.
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
