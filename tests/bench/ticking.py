"""The application that `ibid serve` serves, with a clock in its event loop that `GET /ticks` reads.

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
    """In seconds, of each tick."""

    late: list[float] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    """What the loop's thread had of a processor since the tick before, five milliseconds earlier."""


class Clock:
    """Ticks in the loop that starts it: late by what that loop was busy with, or by what kept it waiting."""

    _next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Until the loop ends; anew, when it ticks already."""
        if self._next:
            self._next.cancel()
        self._loop = asyncio.get_running_loop()
        self._ticks = Ticks()
        self._worked = time.thread_time()
        self._wait()

    def read(self) -> Ticks:
        """All since it was started."""
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
    """For granian's worker."""
    app, clock = build(), Clock()

    async def ticking(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            clock.start()
        if scope["type"] == "http" and scope["path"] == "/ticks":
            body = json.dumps(asdict(clock.read())).encode()
            clock.start()  # what this took is none of the server's work
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
