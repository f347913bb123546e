"""The worker of a server. It is a separate process, so that ingestion does not delay answers.

`python -m app.worker_process` starts it. It reads the settings from standard input and stops when standard
input is closed. If several workers share a home, one works; the others wait, and load no heavy modules.
"""

import asyncio
import logging
import os
import pickle
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from app.logs import configure_logging
from app.settings import Settings
from storage.errors import IbidError
from storage.locks import FileLocks
from storage.logs import log_failure
from storage.private import set_private_umask
from storage.processes.parent import stop_with_parent
from storage.processes.spawn import open_child

_log = logging.getLogger("ibid.jobs")

_LOCK = "the job worker of this home's servers"
_NICE = 10
"""The worker's niceness: when the CPU is busy, answers get priority."""
_IDLE_SECONDS = 120.0
"""Seconds without a job after which the worker stops. The next job starts another."""
_RESTART_DELAY = 5.0
"""Seconds to wait before a worker that failed is restarted."""
_STOP_SECONDS = 10.0
"""The maximum number of seconds for a worker to stop cleanly. Half of `SHUTDOWN_SECONDS`, if that is less."""


class WorkerSupervisor:
    """A supervisor that runs a worker process whenever there may be jobs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = Path.cwd()  # relative paths in the settings refer to it
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start_worker(self) -> None:
        """Start a worker if none runs, because there may be a job."""
        self._wanted.set()

    def stop(self) -> None:
        """Start no more workers, and stop the current one cleanly."""
        # Cancel only once: a second cancellation would interrupt the wait for the worker.
        if self._task and not self._task.cancelling():
            self._task.cancel()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run workers within the context; at its end, wait until the worker has stopped."""
        self._task = asyncio.create_task(self._keep_running())
        try:
            yield
        finally:
            self.stop()
            await asyncio.wait([self._task])

    async def _keep_running(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                code = await self._run_worker()
                failure = f"the worker ended with code {code}" if code else ""
            except OSError as error:
                failure = f"no worker can be started: {error}"
            if failure:
                _log.warning("worker_ended", extra={"reason": f"{failure}; it is restarted"})
                await asyncio.sleep(_RESTART_DELAY)
                self._wanted.set()

    async def _run_worker(self) -> int:
        """Run one worker, and return its exit code."""
        async with open_child(
            "app.worker_process",
            seconds=_stop_seconds(self._settings),
            with_keys=True,
            stdout=asyncio.subprocess.DEVNULL,
            cwd=self._folder,
        ) as child:
            assert child.stdin
            child.stdin.write(pickle.dumps(self._settings))
            return await child.wait()


@asynccontextmanager
async def open_supervisor(
    settings: Settings, *, start_now: bool
) -> AsyncGenerator[WorkerSupervisor]:
    """Run a supervisor. `start_now` starts a worker at once. The next worker finishes interrupted jobs."""
    working = WorkerSupervisor(settings)
    if start_now:
        working.start_worker()
    async with working.running():
        yield working


def main() -> None:
    """Run jobs until the server stops or there is nothing left to do."""
    set_private_umask()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server handles Ctrl-C
    settings: Settings = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own server
    configure_logging(settings)
    if sys.platform != "win32":
        os.nice(_NICE)
    try:
        asyncio.run(_work_until_server_stops(settings))
    except IbidError as error:
        log_failure(_log, "worker_not_started", error, {})
        sys.exit(1)


async def _work_until_server_stops(settings: Settings) -> None:
    loop, working = asyncio.get_running_loop(), asyncio.create_task(_run_jobs(settings))
    # A worker that does not stop must exit: another server's worker may be waiting for it.
    stop_with_parent(
        partial(os.read, sys.stdin.fileno(), 1),  # nothing follows the settings
        lambda: loop.call_soon_threadsafe(working.cancel),
        _stop_seconds(settings),
    )
    with suppress(asyncio.CancelledError):
        await working


def _stop_seconds(settings: Settings) -> float:
    return min(_STOP_SECONDS, settings.shutdown_seconds / 2)


async def _run_jobs(settings: Settings) -> None:
    async with FileLocks(settings.ibid_home.absolute() / "locks").hold(_LOCK):
        from app.wiring import build_worker  # noqa: PLC0415 - waiting workers need not load it

        worker = build_worker(settings)
        await worker.start()
        try:
            await worker.wait_until_idle(_IDLE_SECONDS)
        finally:
            await worker.stop()


if __name__ == "__main__":
    main()
