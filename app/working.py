"""The worker inside a server: there when there is something to do, and not imported before."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from app.settings import Settings
from app.wiring import build_state, build_worker
from storage.errors import IbidError

if TYPE_CHECKING:
    from pipelines.jobs.worker import Worker

_log = logging.getLogger("ibid.jobs")


class Working:
    """Runs the jobs of this home in this process, from the first one on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._worker: Worker | None = None
        self._starting = asyncio.Lock()

    async def begin(self) -> None:
        """Once; raises what starting a worker raises."""
        async with self._starting:
            if self._worker is None:
                worker = await asyncio.to_thread(build_worker, self._settings)
                await worker.start()
                self._worker = worker

    async def resume(self) -> None:
        """What an earlier process left is taken up; if it cannot be, the next job says why."""
        try:
            await self.begin()
        except IbidError as error:
            _log.warning("no jobs are run: %s", error)

    async def end(self) -> None:
        """What runs just now is finished by the next worker."""
        async with self._starting:
            if self._worker:
                await self._worker.stop()


@asynccontextmanager
async def open_working(settings: Settings) -> AsyncGenerator[Working]:
    """Begins at once, beside other work, when there may be jobs already."""
    working = Working(settings)
    resuming = asyncio.create_task(working.resume()) if build_state(settings).is_there else None
    try:
        yield working
    finally:
        if resuming:
            await asyncio.wait([resuming])
        await working.end()
