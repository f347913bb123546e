"""`ibid serve` in a process of its own, as a user starts it and other doors find it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse

from storage.index.embedded.files import is_locked
from tests.app.cli.commands import FUEL, SCRIPT, environment, run_ibid, run_script
from tests.doubles.issuer import Issuer
from tests.library import write_docs

_TIMEOUT = 60
"""Seconds; a busy machine takes many times as long as an idle one."""


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


@contextmanager
def run_server(
    home: Path,
    *options: str,
    prefix: Sequence[str] = (),
    log: int = subprocess.STDOUT,
    **settings: str,
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """The server, once it is ready, and a client to call it with.

    `prefix` stands before its command, and `log` gets its standard error.
    """
    port = free_port()
    server = subprocess.Popen(
        [*prefix, SCRIPT, "serve", "--port", str(port), *options],
        env=environment(home) | settings,
        cwd=home.parent,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            wait_until_ready(server, client)
            yield server, client
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
        server.communicate()


def wait_until_ready(server: subprocess.Popen[str], client: httpx.Client) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            assert server.poll() is None, server.communicate()
        time.sleep(0.1)
    raise AssertionError(f"the server is not ready in {_TIMEOUT} seconds")


def is_gone(group: int) -> bool:
    """Whether no process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until(condition: object, *arguments: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + _TIMEOUT
    while not condition(*arguments):
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


@pytest.mark.slow
def test_a_server_shares_its_index_and_leaves_when_it_is_told_to(tmp_path: Path) -> None:
    home, docs = tmp_path / "home", write_docs(tmp_path / "docs")
    with run_server(home, "--host", "localhost") as (server, client):
        assert client.get("/health/ready").json() == {"status": "ready", "release": None}
        ingested = run_script(home, "ingest", docs, "--json")
        assert (ingested.returncode, ingested.stderr) == (0, "")
        assert client.get("/health/ready").json()["release"] == "ibid-1"

        conversation = client.post("/api/v1/conversations").json()["id"]
        path = f"/api/v1/conversations/{conversation}/messages"
        answer = client.post(path, json={"text": FUEL}).json()
        assert "2.4 litres" in answer["text"]
        asked = run_script(home, "ask", FUEL, "--json", "--conversation", conversation)
        assert json.loads(asked.stdout)["text"] == answer["text"]

        with connect_sse(client, "POST", path, json={"text": FUEL}) as source:
            events = [event.event for event in source.iter_sse()]
        assert (events[0], events[-1]) == ("retrieved", "completed")

        assert "<title>Ibid</title>" in client.get("/").text
        foreign = client.get("/", headers={"host": "evil.example"})
        assert foreign.status_code == 400

        began = time.monotonic()
        server.send_signal(signal.SIGINT)
        output, _ = server.communicate(timeout=_TIMEOUT)
        assert server.returncode == 0, output
        assert time.monotonic() - began < 20, "it waits for nothing until its limit"
        assert "Traceback" not in output
        assert f"Ask at http://localhost:{client.base_url.port}/ " in output
        wait_until(is_gone, server.pid)
        wait_until(lambda: not is_locked(home / "index"))


@pytest.mark.slow
@pytest.mark.parametrize(("set_to", "status"), [({}, 200), ({"ALLOWED_HOSTS": "127.0.0.1"}, 400)])
def test_open_to_anyone_is_any_name_unless_names_are_set(
    tmp_path: Path, set_to: dict[str, str], status: int
) -> None:
    with run_server(tmp_path / "home", "--insecure", **set_to) as (_, client):
        assert client.get("/").status_code == 200
        assert client.get("/", headers={"host": "rebound.example"}).status_code == status


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="children are told by /proc")
def test_several_processes_answer_as_one(tmp_path: Path) -> None:
    home, docs = tmp_path / "home", write_docs(tmp_path / "docs")
    with run_server(home, "--workers", "2") as (server, client):
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        assert len(children) >= 2
        assert run_script(home, "ingest", docs, "--json").returncode == 0
        time.sleep(1.2)  # in which both have seen what serves
        for _ in range(12):  # each on a connection of its own, so that either may take it
            fresh = {"connection": "close"}
            begun = client.post("/api/v1/conversations", headers=fresh)
            path = f"/api/v1/conversations/{begun.json()['id']}/messages"
            answer = client.post(path, json={"text": FUEL}, headers=fresh).json()
            assert "2.4 litres" in answer["text"]
        assert len(client.get("/api/v1/conversations").json()["conversations"]) == 12
        server.send_signal(signal.SIGINT)
        output, _ = server.communicate(timeout=_TIMEOUT)
        assert (server.returncode, "Traceback" in output) == (0, False), output
        wait_until(is_gone, server.pid)


@pytest.mark.slow
def test_several_processes_have_one_limit(tmp_path: Path, issuer: Issuer) -> None:
    home = tmp_path / "home"
    signing_in = {name.upper(): value for name, value in issuer.settings().items()}
    with run_server(home, "--workers", "2", **signing_in, RATE_LIMIT="10") as (_, client):
        headers = {"authorization": f"Bearer {issuer.token('ada')}", "connection": "close"}
        told = [client.get("/api/v1/corpora", headers=headers).status_code for _ in range(30)]
        assert told == [200] * 10 + [429] * 20


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_ibid(tmp_path / "home", "serve", "--port", str(port))
    assert result.exit_code == 2
    assert result.stderr == f"ibid: Cannot listen on 127.0.0.1:{port}: Address already in use.\n"


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_cannot_be_is_refused(tmp_path: Path, port: str) -> None:
    result = run_ibid(tmp_path / "home", "serve", "--port", port)
    assert result.exit_code == 2
    assert "'--port'" in result.stderr
