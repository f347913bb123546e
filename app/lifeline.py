"""How the processes of a server learn that it stops, or that its main process is gone."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress


class Lifeline:
    """A pipe that the main process holds open: at its end, whatever the reason, all others stop.

    The kernel ends it also for a main process that is killed, on every system.
    """

    def __init__(self, seconds: float) -> None:
        self._watched, self._held = multiprocessing.Pipe(duplex=False)
        self.seconds = seconds
        """How long a process may take to stop."""

    def let_go(self) -> None:
        """Has all processes stop."""
        self._held.close()

    def take(self) -> None:
        """In a process that is to stop: its own copy of the held end would keep the pipe open."""
        self._held.close()

    def watch(self, begin: Callable[[bool], None]) -> None:
        """Calls `begin` on the running loop at the end; True means that the main process is gone.

        A process that takes too long is ended. Ctrl-C reaches every process of a terminal, and is
        for the main one to answer.
        """
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):  # on Windows
            loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

        def wait() -> None:
            with suppress(EOFError, OSError):
                self._watched.recv_bytes()
            main = multiprocessing.parent_process()
            loop.call_soon_threadsafe(begin, main is None or not main.is_alive())
            time.sleep(self.seconds)
            os._exit(1)

        threading.Thread(target=wait, name="lifeline", daemon=True).start()
