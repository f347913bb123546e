"""A signal to the processes of a server that it stops, or that its main process has died."""

import asyncio
import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress

from storage.processes.parent import stop_with_parent


class ParentPipe:
    """A pipe that the main process holds open; when it is closed, all its processes stop.

    The operating system also closes it when the main process is killed.
    """

    def __init__(self, seconds: float) -> None:
        self._reader, self._writer = multiprocessing.Pipe(duplex=False)
        self.seconds = seconds
        """Timeout in seconds for a process to stop."""

    def close(self) -> None:
        """Close the writing end. In the main process this stops all others.

        The other processes must close their own copies, which would keep the pipe open.
        """
        self._writer.close()

    def watch(self, stop: Callable[[bool], None]) -> None:
        """Call `stop` on the running loop when the pipe is closed; with True if the main process has died.

        A process that takes too long is killed. SIGINT is ignored from now on: Ctrl-C reaches every
        process of a terminal, and the main process handles it.
        """
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):  # on Windows
            loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

        def stop_in_loop() -> None:
            main = multiprocessing.parent_process()
            loop.call_soon_threadsafe(stop, main is None or not main.is_alive())

        stop_with_parent(self._reader.recv_bytes, stop_in_loop, self.seconds)
