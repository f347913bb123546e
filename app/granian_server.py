"""The granian server. Its processes are restarted when they die, and stop when the server does."""

import os
import sys
import time
from functools import partial
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from app.asgi import load
from app.logs import configure_logging, logging_config
from app.parent_process import ParentPipe
from app.settings import Settings

if sys.platform != "win32":
    import resource

_MAX_CONNECTIONS = 8192
"""The maximum number of open connections of one process. Further connections wait."""
_SPARE_FILES = 256
"""Number of files that a process may have open in addition to its connections."""
_MOST_FILES = 65_536
_HEADER_SECONDS = 30
"""Timeout in seconds for a request's header, and for an idle connection."""
_KILL_SECONDS = 1
"""Seconds before the shutdown deadline at which processes that still run are killed."""


class GranianServer(MPServer):
    """A granian server that stops its processes within `parent.seconds`, or at once on a second signal."""

    def __init__(self, parent: ParentPipe, **options: Any) -> None:
        super().__init__("app.asgi:load", **options)
        self._parent = parent

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Handle Ctrl-C and SIGTERM."""
        if self.interrupt_signal:
            for worker in self.wrks:
                worker.kill()
            os._exit(1)
        super().signal_handler_interrupt(*args, **kwargs)

    def _stop_workers(self) -> None:
        deadline = time.monotonic() + self._parent.seconds - _KILL_SECONDS
        for worker in self.wrks:
            worker.interrupt_by_parent = True
        self._parent.close()
        for worker in self.wrks:
            worker.join(max(0.0, deadline - time.monotonic()))
        super()._stop_workers()


def serve(settings: Settings, address: str, port: int, workers: int) -> None:
    """Serve until the server is stopped."""
    configure_logging(settings)
    parent = ParentPipe(settings.shutdown_seconds)
    GranianServer(
        parent,
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,  # without TLS clients do not use HTTP/2, and its support takes memory
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_SECONDS * 1000),
        backlog=_MAX_CONNECTIONS,
        backpressure=min(_MAX_CONNECTIONS, _raise_file_limit() - _SPARE_FILES),
        workers=workers,
        respawn_failed_workers=True,
        workers_kill_timeout=_KILL_SECONDS,
        websockets=False,
        log_level=LogLevels(settings.log_level),
        log_dictconfig=logging_config(settings),
    ).serve(target_loader=partial(load, parent), wrap_loader=False)


def _raise_file_limit() -> int:
    """Raise the limit of open files and return it. Each connection is a file; the default is often 1024."""
    if sys.platform == "win32":
        return _MOST_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return _MOST_FILES if soft == resource.RLIM_INFINITY else soft
