"""How a child process ends when its parent ends.

The parent alone holds the other end of a pipe, which the operating system closes however the parent ends.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

if sys.platform != "win32":
    import fcntl
    import select


def end_with_parent(pipe: int) -> None:
    """End this process at once when the other end of `pipe` is closed; no data may travel through the pipe.

    On Linux a signal ends it, which also works in native code that never returns to Python.
    """
    if sys.platform != "win32":
        # Where SIGIO does not end a process by default, a Python handler exits as soon as it can run.
        signal.signal(signal.SIGIO, signal.SIG_DFL if sys.platform == "linux" else _exit)
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(pipe, fcntl.F_GETFL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, flags | os.O_ASYNC)
        poll = select.poll()
        poll.register(pipe, 0)
        if poll.poll(0):  # it was closed before the signal was set up
            _exit()


def stop_with_parent(
    wait: Callable[[], object], stop: Callable[[], object], seconds: float
) -> None:
    """Call `stop` when `wait` has met the end of the pipe, both in a thread; exit `seconds` later.

    A process that stops in time never gets there, because the thread is a daemon.
    """

    def run() -> None:
        with suppress(EOFError, OSError):
            wait()
        stop()
        time.sleep(seconds)
        _exit()

    threading.Thread(target=run, name="parent", daemon=True).start()


def _exit(*_: object) -> None:
    os._exit(1)
