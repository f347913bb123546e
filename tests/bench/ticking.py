"""The application of `ibid serve` with a clock in its event loop, which `GET /ticks` reads and restarts.

`python -m tests.bench.ticking PORT`
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from litestar.types import ASGIApp, Receive, Scope, Send

from app.asgi import create_app as build

_PERIOD = 0.005


@dataclass
class Ticks:
    """Measurements of each tick in seconds."""

    late: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    """CPU seconds of the loop's thread since the previous tick."""


class Clock:
    """A periodic timer in an event loop: a tick is late if the loop is blocked or its process has to wait."""

    _next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the clock, or restart it with empty measurements; it runs until the loop ends."""
        if self._next:
            self._next.cancel()
        self._loop = asyncio.get_running_loop()
        self._ticks = Ticks()
        self._worked = time.thread_time()
        self._wait()

    def read(self) -> Ticks:
        """Return the ticks since the start."""
        return self._ticks

    def _wait(self) -> None:
        self._due = self._loop.time() + _PERIOD
        self._next = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        worked = time.thread_time()
        self._ticks.late.append(self._loop.time() - self._due)
        self._ticks.worked.append(worked - self._worked)
        self._worked = worked
        self._wait()


def create_app() -> ASGIApp:
    """Create the application for granian's worker."""
    app, clock = build(), Clock()

    async def ticking(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            clock.start()
        if scope["type"] == "http" and scope["path"] == "/ticks":
            body = json.dumps(asdict(clock.read())).encode()
            clock.start()  # so that this request itself is not measured
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body, "more_body": False})
        else:
            await app(scope, receive, send)

    return ticking


if __name__ == "__main__":
    Granian(
        "tests.bench.ticking:create_app",
        port=int(sys.argv[1]),
        interface=Interfaces.ASGI,
        factory=True,
        websockets=False,
        log_level=LogLevels.warning,
    ).serve()
