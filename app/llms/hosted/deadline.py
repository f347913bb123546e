"""Timeouts of a stream that keep-alives do not extend and a slow reader does not use up."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class StreamDeadline:
    """The timeouts of one answer: until its first word, between words, and in total.

    Only time spent waiting counts. The timeout applies to each wait, not to the whole stream, because the
    reader of a suspended generator must not be cancelled. One timer serves many waits and is set again when
    it fires too early: `asyncio.timeout` around each token took longer than reading the token.
    """

    def __init__(self, idle_timeout: float, total_timeout: float) -> None:
        self._idle_timeout = idle_timeout
        self._left = total_timeout
        self._idle_seconds = 0.0
        self._waiting: asyncio.Task[object] | None = None
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._has_timed_out = False

    async def wait(self, work: Awaitable[T]) -> T:
        """Await `work`; raise `TimeoutError` when it takes too long.

        Only one wait at a time is allowed, and all waits must be in one event loop.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "only a task can be cancelled"
        started, cancelling = loop.time(), task.cancelling()
        self._due = started + max(0.0, min(self._idle_timeout - self._idle_seconds, self._left))
        if self._timer is None or self._due < self._timer.when():
            self._set_timer(loop)
        self._waiting, self._has_timed_out = task, False
        try:
            return await work
        except asyncio.CancelledError as cancelled:
            if (
                self._has_timed_out and task.cancelling() == cancelling + 1
            ):  # only the timer cancelled it
                raise TimeoutError from cancelled
            raise
        finally:
            if self._has_timed_out:
                task.uncancel()
            self._waiting = None
            waited = loop.time() - started
            self._idle_seconds += waited
            self._left -= waited

    def restart_idle_timeout(self) -> None:
        """Restart the timeout between words, because one arrived."""
        self._idle_seconds = 0.0

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._due, self._on_timer, loop)

    def _on_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._waiting is None:
            return  # the next wait sets a new timer
        if loop.time() < self._due:
            self._set_timer(loop)
        else:
            self._has_timed_out = True
            self._waiting.cancel()
