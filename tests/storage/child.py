"""A child process for tests. It prints the value of `SECRET`; `stubborn`, it goes on when its input ends."""

import os
import signal
import sys

print(os.environ.get("SECRET", "no secret"), flush=True)
sys.stdin.read()
if sys.argv[1:] == ["stubborn"]:
    signal.pause()
