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

from pipelines.corpora import corpus_lock_name
from storage.index.embedded.files import is_locked
from storage.locks import Locks
from tests.app.api.calls import API, FUEL
from tests.app.api.uploads import upload_files
from tests.app.cli.commands import run_script
from tests.app.cli.test_serve import is_gone, run_server
from tests.doubles.held import HeldModel
from tests.library import write_docs
from tests.walks.pages import build_archive

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="children are told by /proc"),
]

JSON = dict[str, Any]
FIRST, REST = "The lamp burns 2.4 litres of paraffin", " an hour [1]."
_TIMEOUT = 60


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _TIMEOUT
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


def is_alive(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live", headers={"connection": "close"}).status_code == 200
    except httpx.TransportError:
        return False


def status(client: httpx.Client, path: str) -> int:
    return client.get(path, headers={"connection": "close"}).status_code


def output_after_stop(server: subprocess.Popen[str]) -> str:
    output, _ = server.communicate(timeout=_TIMEOUT)
    assert "Traceback" not in output, output
    return output


@pytest.fixture
def model() -> HeldModel:
    return HeldModel(FIRST, REST)


@contextmanager
def serve_during_turn(
    home: Path, model: HeldModel, **settings: str
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client, str, Future[list[ServerSentEvent]]]]:
    """A server with a turn under way, the conversation's path, and the turn's events to come."""
    assert run_script(home, "ingest", write_docs(home.parent / "docs"), "--json").returncode == 0
    with (
        model.running() as asked_of,
        run_server(home, **asked_of, **settings) as (server, client),
        ThreadPoolExecutor() as threads,
    ):
        path = f"{API}/conversations/{client.post(f'{API}/conversations').json()['id']}"

        def ask() -> list[ServerSentEvent]:
            with connect_sse(client, "POST", f"{path}/messages", json={"text": FUEL}) as source:
                return list(source.iter_sse())

        events = threads.submit(ask)
        assert model.question_received.acquire(timeout=_TIMEOUT)
        try:
            yield server, client, path, events
        finally:
            model.may_finish.set()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_process_that_is_killed_is_replaced(tmp_path: Path, workers: str) -> None:
    with run_server(tmp_path / "home", "--workers", workers) as (server, client):
        before = children(server)
        assert len(before) == int(workers)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len(set(children(server)) - set(before)) == 1)
        wait_until(lambda: is_alive(client))
        assert server.poll() is None
        assert client.post(f"{API}/conversations").status_code == 201
        server.send_signal(signal.SIGTERM)
        output_after_stop(server)
        assert server.returncode == 0


def test_nothing_is_left_of_a_server_whose_main_process_is_killed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with run_server(home, "--workers", "2") as (server, client):
        assert upload_files(client, {"docs.zip": build_archive(300)}).status_code == 202
        server.kill()
        server.wait()
        wait_until(lambda: not is_alive(client))
        address = ("127.0.0.1", client.base_url.port)
        wait_until(lambda: can_listen(address))
        wait_until(lambda: is_gone(server.pid))
        wait_until(lambda: not is_locked(home / "index"))
        assert workers_of_home(home) == []
    with run_server(home) as (server, client):
        assert is_alive(client)


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
    locks = Locks.create(home / "locks", None)
    with run_server(home) as (server, client):
        async with locks.hold(corpus_lock_name("default")):  # so that the job never ends
            job = upload_files(client, {"docs.zip": build_archive(1)}).json()
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
                assert watching.wait(_TIMEOUT)
                server.send_signal(signal.SIGTERM)
                output_after_stop(server)
                assert set(seen.result(_TIMEOUT)) == {"progress"}
            assert server.returncode == 0
            assert workers_of_home(home) == [], "the server waited for its worker"
    (left,) = json.loads(run_script(home, "jobs", "list", "--json").stdout)["jobs"]
    assert left["status"] in ("queued", "running")


def test_an_open_answer_is_given_and_kept_while_probes_are_told(
    tmp_path: Path, model: HeldModel
) -> None:
    with serve_during_turn(tmp_path / "home", model) as (server, client, path, events):
        assert status(client, "/health/ready") == 200
        server.send_signal(signal.SIGTERM)
        wait_until(lambda: status(client, "/health/ready") == 503)
        assert status(client, "/health/live") == 200
        assert not events.done()
        model.may_finish.set()
        assert events.result(_TIMEOUT)[-1].event == "completed"
        output_after_stop(server)
        assert server.returncode == 0
    with run_server(tmp_path / "home") as (_, client):
        kept = client.get(path).json()["messages"]
        assert "2.4 litres" in kept[-1]["text"]


def test_an_answer_that_takes_too_long_ends_with_the_reason(
    tmp_path: Path, model: HeldModel
) -> None:
    with serve_during_turn(tmp_path / "home", model, SHUTDOWN_SECONDS="4") as (
        server,
        client,
        path,
        events,
    ):
        server.send_signal(signal.SIGTERM)
        last = events.result(_TIMEOUT)[-1]
        assert (last.event, json.loads(last.data)["title"]) == ("failed", "ServerStopping")
        output_after_stop(server)
        assert server.returncode == 0
        assert not is_alive(client)
    with run_server(tmp_path / "home") as (_, client):
        assert [each["text"] for each in client.get(path).json()["messages"]] == [FUEL]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_a_second_time_a_server_stops_at_once(
    tmp_path: Path, model: HeldModel, number: signal.Signals
) -> None:
    with serve_during_turn(tmp_path / "home", model, SHUTDOWN_SECONDS="3000") as (
        server,
        client,
        _,
        events,
    ):
        server.send_signal(number)
        wait_until(lambda: status(client, "/health/ready") == 503)
        server.send_signal(number)
        output, _ = server.communicate(timeout=_TIMEOUT)
        assert server.returncode == 1, output
        with pytest.raises(httpx.TransportError):
            events.result(_TIMEOUT)
        wait_until(lambda: is_gone(server.pid))
