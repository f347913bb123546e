"""The worker of a server, in a process of its own: what it ingests must not keep questions waiting.

`python -m app.worker_process` is that process: the settings come on its standard input, and with its end it
ends. Of several for one home one works; the others wait, having loaded next to nothing.
"""

import asyncio
import logging
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from app.logs import configure_logging
from app.settings import Settings
from storage.errors import IbidError
from storage.locks import FileLocks
from storage.logs import log_failure
from storage.private import create_privately

_log = logging.getLogger("ibid.jobs")

_ONE = "the worker of this home's servers"
_NICE = 10
"""Where there is not enough of the machine for both, questions go first."""
_REST = 120.0
"""Seconds without a job after which there is no worker, until the next job comes."""
_PAUSE = 5.0
"""Seconds from the end of one that failed to the start of the next."""
_PATIENCE = 10.0
"""Seconds that one has to leave its work in good order, or half of what its server has to stop."""


class WorkerSupervisor:
    """Sees to it that there is a worker whenever there may be jobs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = Path.cwd()  # from which relative paths in the settings are read
        self._wanted = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """There may be a job."""
        self._wanted.set()

    def leave(self) -> None:
        """No worker from now on; the one there is leaves its work in good order."""
        # Once only: cancelled a second time, it would no longer wait for that one.
        if self._keeping and not self._keeping.cancelling():
            self._keeping.cancel()

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """For as long as there may be a worker; returns when it has gone."""
        self._keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            self.leave()
            await asyncio.wait([self._keeping])

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                code = await self._worked()
                failure = f"the worker ended with code {code}" if code else ""
            except OSError as error:
                failure = f"no worker can be started: {error}"
            if failure:
                _log.warning("worker_ended", extra={"reason": f"{failure}; another begins"})
                await asyncio.sleep(_PAUSE)
                self._wanted.set()

    async def _worked(self) -> int:
        """The exit code of a worker that came and went."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "app.worker_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            cwd=self._folder,
        )
        assert child.stdin
        try:
            child.stdin.write(pickle.dumps(self._settings))
            return await child.wait()
        finally:
            child.stdin.close()
            try:
                await asyncio.wait_for(child.wait(), _patience(self._settings))
            except TimeoutError:
                child.kill()
                await child.wait()


@asynccontextmanager
async def open_working(settings: Settings, *, begins: bool) -> AsyncGenerator[WorkerSupervisor]:
    """Begins at once when there may be jobs already; what runs at the end, the next worker finishes."""
    working = WorkerSupervisor(settings)
    if begins:
        working.begin()
    async with working.kept():
        yield working


def main() -> None:
    """Returns when the server has gone, or when there is nothing left to do."""
    create_privately()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the server's to answer
    settings: Settings = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own server
    configure_logging(settings)
    if sys.platform != "win32":
        os.nice(_NICE)
    try:
        asyncio.run(_work_until_left(settings))
    except IbidError as error:
        log_failure(_log, "worker_not_started", error, {})
        sys.exit(1)


async def _work_until_left(settings: Settings) -> None:
    loop, working = asyncio.get_running_loop(), asyncio.create_task(_work(settings))

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        loop.call_soon_threadsafe(working.cancel)
        time.sleep(_patience(settings))
        os._exit(1)  # another server's worker may be waiting for this one to end

    threading.Thread(target=watch, daemon=True).start()
    with suppress(asyncio.CancelledError):
        await working


def _patience(settings: Settings) -> float:
    return min(_PATIENCE, settings.shutdown_seconds / 2)


async def _work(settings: Settings) -> None:
    async with FileLocks(settings.ibid_home.absolute() / "locks").held(_ONE):
        from app.wiring import build_worker  # noqa: PLC0415 - what waits need not load it

        worker = build_worker(settings)
        await worker.start()
        try:
            await worker.rested(_REST)
        finally:
            await worker.stop()


if __name__ == "__main__":
    main()
