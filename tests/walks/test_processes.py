"""A server's processes: killed and replaced, left alone by a killed parent, told to stop."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import ServerSentEvent, connect_sse

from pipelines.corpora import lock_of
from storage.index.embedded.files import is_locked
from storage.locks import Locks
from tests.app.api.calls import API, FUEL
from tests.app.api.uploads import send
from tests.app.cli.commands import script
from tests.app.cli.test_serve import is_gone, serving
from tests.doubles.held import HeldModel
from tests.library import write_docs
from tests.walks.pages import packed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="children are told by /proc"),
]

JSON = dict[str, Any]
FIRST, REST = "The lamp burns 2.4 litres of paraffin", " an hour [1]."
_PATIENCE = 60


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children(server: subprocess.Popen[str]) -> list[int]:
    """The processes that answer: forked, so of the same command line."""
    told = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    own = Path(f"/proc/{server.pid}/cmdline").read_bytes()
    return [int(pid) for pid in told if Path(f"/proc/{pid}/cmdline").read_bytes() == own]


def workers_of_home(home: Path) -> list[str]:
    """Processes that run jobs in the folder above the home."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"app.worker_process" in (process / "cmdline").read_bytes():
                found += [process.name] if (process / "cwd").readlink() == home.parent else []
        except OSError:  # gone meanwhile
            continue
    return found


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live", headers={"connection": "close"}).status_code == 200
    except httpx.TransportError:
        return False


def status(client: httpx.Client, path: str) -> int:
    return client.get(path, headers={"connection": "close"}).status_code


def stopped(server: subprocess.Popen[str]) -> str:
    output, _ = server.communicate(timeout=_PATIENCE)
    assert "Traceback" not in output, output
    return output


@pytest.fixture
def model() -> HeldModel:
    return HeldModel(FIRST, REST)


@contextmanager
def asking(
    home: Path, model: HeldModel, **settings: str
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client, str, Future[list[ServerSentEvent]]]]:
    """A server with a turn under way, the conversation's path, and the turn's events to come."""
    assert script(home, "ingest", write_docs(home.parent / "docs"), "--json").returncode == 0
    with (
        model.running() as asked_of,
        serving(home, **asked_of, **settings) as (server, client),
        ThreadPoolExecutor() as threads,
    ):
        path = f"{API}/conversations/{client.post(f'{API}/conversations').json()['id']}"

        def ask() -> list[ServerSentEvent]:
            with connect_sse(client, "POST", f"{path}/messages", json={"text": FUEL}) as source:
                return list(source.iter_sse())

        events = threads.submit(ask)
        assert model.asked.acquire(timeout=_PATIENCE)
        try:
            yield server, client, path, events
        finally:
            model.let_go.set()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_process_that_is_killed_is_replaced(tmp_path: Path, workers: str) -> None:
    with serving(tmp_path / "home", "--workers", workers) as (server, client):
        before = children(server)
        assert len(before) == int(workers)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(set(children(server)) - set(before)) == 1)
        until(lambda: answers(client))
        assert server.poll() is None
        assert client.post(f"{API}/conversations").status_code == 201
        server.send_signal(signal.SIGTERM)
        stopped(server)
        assert server.returncode == 0


def test_nothing_is_left_of_a_server_whose_main_process_is_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home, "--workers", "2") as (server, client):
        assert send(client, {"docs.zip": packed(300)}).status_code == 202
        server.kill()
        server.wait()
        until(lambda: not answers(client))
        address = ("127.0.0.1", client.base_url.port)
        until(lambda: can_listen(address))
        until(lambda: is_gone(server.pid))
        until(lambda: not is_locked(home / "index"))
        assert workers_of_home(home) == []
    with serving(home) as (server, client):
        assert answers(client)


def can_listen(address: tuple[str, int | None]) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(address)
        except OSError:
            return False
        return True


async def test_a_watcher_keeps_no_server_from_stopping(tmp_path: Path) -> None:
    home = tmp_path / "home"
    locks = Locks.of(home / "locks", None)
    with serving(home) as (server, client):
        async with locks.held(lock_of("default")):  # so that the job never ends
            job = send(client, {"docs.zip": packed(1)}).json()
            watching = threading.Event()

            def watch() -> list[str]:
                seen: list[str] = []
                with connect_sse(client, "GET", f"{API}/jobs/{job['id']}") as source:
                    for event in source.iter_sse():
                        seen.append(event.event)
                        watching.set()
                return seen

            with ThreadPoolExecutor() as threads:
                seen = threads.submit(watch)
                assert watching.wait(_PATIENCE)
                server.send_signal(signal.SIGTERM)
                stopped(server)
                assert set(seen.result(_PATIENCE)) == {"progress"}
            assert server.returncode == 0
            assert workers_of_home(home) == [], "the server waited for its worker"
    (left,) = json.loads(script(home, "jobs", "list", "--json").stdout)["jobs"]
    assert left["status"] in ("queued", "running")


def test_an_open_answer_is_given_and_kept_while_probes_are_told(
    tmp_path: Path, model: HeldModel
) -> None:
    with asking(tmp_path / "home", model) as (server, client, path, events):
        assert status(client, "/health/ready") == 200
        server.send_signal(signal.SIGTERM)
        until(lambda: status(client, "/health/ready") == 503)
        assert status(client, "/health/live") == 200
        assert not events.done()
        model.let_go.set()
        assert events.result(_PATIENCE)[-1].event == "completed"
        stopped(server)
        assert server.returncode == 0
    with serving(tmp_path / "home") as (_, client):
        kept = client.get(path).json()["messages"]
        assert "2.4 litres" in kept[-1]["text"]


def test_an_answer_that_takes_too_long_ends_with_the_reason(
    tmp_path: Path, model: HeldModel
) -> None:
    with asking(tmp_path / "home", model, SHUTDOWN_SECONDS="4") as (server, client, path, events):
        server.send_signal(signal.SIGTERM)
        last = events.result(_PATIENCE)[-1]
        assert (last.event, json.loads(last.data)["title"]) == ("failed", "ServerStopping")
        stopped(server)
        assert server.returncode == 0
        assert not answers(client)
    with serving(tmp_path / "home") as (_, client):
        assert [each["text"] for each in client.get(path).json()["messages"]] == [FUEL]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_a_second_time_a_server_stops_at_once(
    tmp_path: Path, model: HeldModel, number: signal.Signals
) -> None:
    with asking(tmp_path / "home", model, SHUTDOWN_SECONDS="3000") as (server, client, _, events):
        server.send_signal(number)
        until(lambda: status(client, "/health/ready") == 503)
        server.send_signal(number)
        output, _ = server.communicate(timeout=_PATIENCE)
        assert server.returncode == 1, output
        with pytest.raises(httpx.TransportError):
            events.result(_PATIENCE)
        until(lambda: is_gone(server.pid))
