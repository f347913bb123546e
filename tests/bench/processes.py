"""Separate processes for `ibid`, the stand-in and servers."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

import app
from tests.app.api.calls import API
from tests.app.cli.test_serve import free_port, wait_until_ready

IBID = ("-c", "import sys; from app.cli import main; sys.exit(main())")
"""Python arguments that do the same as the console script."""


@dataclass
class Shell:
    """Runs commands of this checkout with compiled bytecode, as an installation has it."""

    home: Path
    scratch: Path

    async def time_run(self, *arguments: str) -> float:
        """Return the seconds from the start of an interpreter to its end."""
        started = time.perf_counter()
        await self.run(*arguments)
        return time.perf_counter() - started

    async def run(self, *arguments: str) -> str:
        """Run a new interpreter and return its standard error; raise `RuntimeError` if it fails."""
        environment = os.environ | {
            "IBID_HOME": str(self.home),
            "PYTHONPATH": str(Path(app.__file__).parents[1]),
            "PYTHONPYCACHEPREFIX": str(self.scratch / "bytecode"),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env=environment,
            cwd=self.scratch,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _, said = await child.communicate()
        if child.returncode:
            raise RuntimeError(f"{arguments} failed:\n{said.decode()[-2000:]}")
        return said.decode()


@asynccontextmanager
async def run_model_double() -> AsyncGenerator[str]:
    """Run a stand-in for OpenRouter and yield its base URL."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.doubles", "--port", "0"),
        cwd=Path(app.__file__).parents[1],
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout
    try:
        line = (await child.stdout.readline()).decode()
        drain = asyncio.create_task(child.stdout.read())
        yield line.rpartition("=")[2].strip()
    finally:
        child.terminate()
        await child.wait()
    await drain


@contextmanager
def run_module(module: str, *arguments: str, **environment: str) -> Generator[httpx.Client]:
    """Run `python -m MODULE PORT ARGUMENTS` outside the checkout and its `.env`; yield a client for it."""
    port = free_port()
    with tempfile.TemporaryDirectory() as elsewhere:
        server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", module, str(port), *arguments],
            cwd=elsewhere,
            env={**os.environ, **environment, "PYTHONPATH": str(Path(app.__file__).parents[1])},
            text=True,
            start_new_session=True,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                wait_until_ready(server, client)
                yield client
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def conversations(client: httpx.Client, count: int) -> list[str]:
    """Create empty conversations and return the paths of their messages."""
    begun = (client.post(f"{API}/conversations").raise_for_status().json() for _ in range(count))
    return [f"{API}/conversations/{one['id']}/messages" for one in begun]
