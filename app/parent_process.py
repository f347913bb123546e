"""How the processes of a server learn that it stops, or that its main process is gone."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress


class ParentPipe:
    """A pipe that the main process holds open; when it is closed, all its processes stop.

    The operating system also closes it when the main process is killed.
    """

    def __init__(self, seconds: float) -> None:
        self._reader, self._writer = multiprocessing.Pipe(duplex=False)
        self.seconds = seconds
        """How long a process may take to stop."""

    def close(self) -> None:
        """In the main process: all others stop. In another: its own copy no longer keeps it open."""
        self._writer.close()

    def watch(self, stop: Callable[[bool], None]) -> None:
        """Calls `stop` on the running loop; with True when the main process is gone.

        A process that takes too long is ended. SIGINT is ignored from now on: Ctrl-C reaches every
        process of a terminal, and the main process answers it.
        """
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):  # on Windows
            loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

        def wait() -> None:
            with suppress(EOFError, OSError):
                self._reader.recv_bytes()
            main = multiprocessing.parent_process()
            loop.call_soon_threadsafe(stop, main is None or not main.is_alive())
            time.sleep(self.seconds)
            os._exit(1)

        threading.Thread(target=wait, name="parent pipe", daemon=True).start()
