"""Start a module of Ibid in a child process of the same interpreter."""

import asyncio
import os
import subprocess
import sys
import sysconfig
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Container, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

_ROOT = str(Path(__file__).parents[2])
_KEPT = (
    "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LD_PRELOAD", "MALLOC_ARENA_MAX", "PATH", "PYTHONHOME",
    "PYTHONPATH", "PYTHONPYCACHEPREFIX", "SYSTEMROOT", "TEMP", "TMPDIR", "VIRTUAL_ENV",
)  # fmt: skip
"""The variables that Python needs. Others are removed, so that an attacker in a child finds no API keys."""


def spawn(module: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a module without API keys; `options` are those of `subprocess.Popen`, with binary pipes."""
    command, environment = _command(module, arguments), _environment(_KEPT)
    child = subprocess.Popen(command, env=environment, **options)  # noqa: S603 - our own module
    return cast("subprocess.Popen[bytes]", child)


@asynccontextmanager
async def open_child(
    module: str, *arguments: str, seconds: float, with_keys: bool = False, **options: Any
) -> AsyncGenerator[Process]:
    """Run a module. At the end close its standard input, wait `seconds` until it has stopped, and kill it."""
    child = await asyncio.create_subprocess_exec(
        *_command(module, arguments),
        stdin=subprocess.PIPE,
        env=_environment(os.environ if with_keys else _KEPT),
        **options,
    )
    assert child.stdin
    try:
        yield child
    finally:
        child.stdin.close()
        try:
            async with asyncio.timeout(seconds):
                await child.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()


def _command(module: str, arguments: Iterable[str]) -> tuple[str, ...]:
    # -P: a module in the current folder must not be imported instead of Ibid's.
    return (sys.executable, "-P", "-m", module, *arguments)


def _environment(names: Container[str]) -> dict[str, str]:
    # An installed Ibid is importable anyway; site-packages in PYTHONPATH would precede the standard library.
    root = () if sysconfig.get_path("purelib") == _ROOT else (_ROOT,)
    path = (*root, *os.environ.get("PYTHONPATH", "").split(os.pathsep))
    unique = os.pathsep.join(dict.fromkeys(filter(None, path)))
    return {n: v for n, v in os.environ.items() if n in names} | {"PYTHONPATH": unique}
