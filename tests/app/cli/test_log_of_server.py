"""The log of a real server on a bad day: every failure has a line, and nobody's words are in any."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.app.api.calls import API
from tests.app.api.uploads import archive, upload_files, wait_for_job
from tests.app.cli.commands import FUEL, run_ibid
from tests.app.cli.test_serve import run_server
from tests.doubles.echo import run_echo_server
from tests.doubles.issuer import Issuer
from tests.library import write_docs
from tests.postgres import Postgres

MARK = "pLanted9"
"""Stands in everything that must not be logged."""
INJECTED = f"{MARK}\nERROR ibid forged\r\x1b[2J\u202e\u200b"
SCOPES = [word for scope in ("ask", "ingest", "admin") for word in ("--scope", scope)]
STREAM = {"accept": "text/event-stream"}


@pytest.fixture
def database() -> Iterator[Postgres]:
    """One that can be stopped."""
    server = Postgres()
    server.start()
    yield server
    server.close()


class Caller:
    """Sends requests with ids of their own; remembers how they were answered."""

    def __init__(self, client: httpx.Client, key: str) -> None:
        self.client = client
        self.answers: dict[str, int] = {}
        client.headers["authorization"] = f"Bearer {key}"
        client.headers["cookie"] = f"session={MARK}"
        client.event_hooks = {"request": [self._name], "response": [self._note]}

    @staticmethod
    def _name(request: httpx.Request) -> None:
        request.headers["x-request-id"] = uuid4().hex

    def _note(self, response: httpx.Response) -> None:
        sent = response.request.headers["x-request-id"]
        assert response.headers["x-request-id"] == sent
        self.answers[sent] = response.status_code


def run_turns(client: httpx.Client) -> None:
    """Asked, asked again, read, exported, rated; with words that make no sense, too."""
    path = f"{API}/conversations/{client.post(f'{API}/conversations').json()['id']}"
    for text in (f"How much oil does the lamp burn? {MARK}", INJECTED, "x" * 9999 + MARK):
        client.post(f"{path}/messages", json={"text": text})
        with client.stream("POST", f"{path}/messages", json={"text": text}, headers=STREAM) as one:
            one.read()
    client.post(f"{path}/messages", content=f'{{"text": {MARK}')
    client.post(f"{path}/messages", json={"text": [MARK], "corpora": MARK})
    client.post(f"{path}/messages", json={"text": MARK, "corpora": [INJECTED]})
    client.patch(path, json={"title": INJECTED})
    for thread in client.get(f"{API}/conversations", params={"q": MARK}).json()["conversations"]:
        client.get(f"{API}/conversations/{thread['id']}/export", params={"format": "markdown"})
    for message in client.get(path).json()["messages"]:
        client.post(f"{path}/messages/{message['id']}/regenerate")
        opinion = {"verdict": "down", "reason": INJECTED}
        client.put(f"{path}/messages/{message['id']}/feedback", json=opinion)
        client.get(f"{API}/messages/{message['id']}/html")


def read_everything(client: httpx.Client) -> None:
    """Whatever can be read, with what must not be logged in every place."""
    for path in ("search", "sources", "gaps", "usage", "releases", "jobs", "corpora"):
        client.get(f"{API}/{path}", params={"q": INJECTED, "corpus": INJECTED, "limit": MARK})
        client.get(f"{API}/{path}", params={"q": MARK, "token": MARK})
    client.get("/schema/openapi.json", params={"key": MARK})
    client.put(f"{API}/corpora/nowhere/readers", json={"groups": [INJECTED]})
    client.delete(f"{API}/corpora/nowhere")


def send_bad_credentials(client: httpx.Client, issuer: Issuer) -> int:
    """With credentials that are not good; gives back how many."""
    bad = [
        f"ibid_{MARK}",
        f"{MARK}.{MARK}.{MARK}",
        issuer.token("ada", aud=MARK),
        issuer.token("ada", exp=1),
        issuer.token(INJECTED),
        issuer.token("ada")[:-4] + MARK,
    ]
    for each in bad:
        client.get(f"{API}/corpora", headers={"authorization": f"Bearer {each}"})
    return len(bad)


def run_jobs(client: httpx.Client) -> list[dict[str, Any]]:
    """One that is done, one with a file that cannot be read, one that is cancelled."""
    page = f"# Lamp\n\nThe lamp burns oil. {MARK}"
    sent = [
        upload_files(client, {"lamp.md": page}),
        upload_files(
            client, {f"{MARK}.pdf": b"%PDF-1.7 " + MARK.encode() * 99, "more.md": page * 2}
        ),
    ]
    assert [one.status_code for one in sent] == [202, 202], sent[1].text
    over = [wait_for_job(client, one.json()["id"], 120) for one in sent]
    many = {f"{n}.md": f"# {n}\n\nThe lamp {n} burns oil. {MARK}" * 50 for n in range(900)}
    last = upload_files(client, {"many.zip": archive(many)}).json()["id"]
    while client.get(f"{API}/jobs/{last}").json()["status"] == "queued":
        pass
    client.delete(f"{API}/jobs/{last}")
    return [*over, wait_for_job(client, last, 120)]


def test_a_command_logs_apart_from_what_it_prints(tmp_path: Path) -> None:
    home, docs = tmp_path / "home", write_docs(tmp_path / "docs")
    quiet = run_ibid(home, "ingest", docs)
    told = run_ibid(home, "ask", FUEL, LOG_LEVEL="info", LOG_FORMAT="json")
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    (line,) = told.stderr.splitlines()
    assert json.loads(line)["event"] == "turn_completed"
    assert "turn_completed" not in told.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_bad_day_is_told_in_full_and_nobodys_words_are(
    tmp_path: Path, issuer: Issuer, database: Postgres
) -> None:
    home, log = tmp_path / "home", tmp_path / "log"
    url = database.create("ibid").replace("postgres@", f"postgres:{MARK}@", 1)
    made = run_ibid(home, "keys", "create", "robot", *SCOPES, DATABASE_URL=url)
    key = made.stdout.strip()
    with run_echo_server() as echo, log.open("w") as errors:
        settings = {name.upper(): str(value) for name, value in issuer.settings().items()} | {
            "ACCESS_LOG": "true",
            "COHERE_API_KEY": f"{MARK}-cohere",
            "COHERE_BASE_URL": echo,
            "COHERE_RERANK_MODEL": "rerank",
            "DATABASE_PATIENCE": "0.5",
            "DATABASE_URL": url,
            "LLM_FALLBACKS": f"other@{echo}/v1",
            "LLM_FALLBACK_API_KEY": f"{MARK}-fallback",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "debug",
            "OPENROUTER_API_KEY": f"{MARK}-openrouter",
            "OPENROUTER_BASE_URL": f"{echo}/api/v1",
            "OPENROUTER_MODELS": "one,two",
            "RATE_LIMIT": "100000",
            "STRICTNESS": "0",
        }
        with run_server(home, log=errors.fileno(), **settings) as (server, client):
            caller = Caller(client, key)
            ended = run_jobs(client)
            run_turns(client)
            read_everything(client)
            refused = send_bad_credentials(client, issuer)
            database.kill()
            turns_fail = [client.get(f"{API}/conversations").status_code for _ in range(2)]
            server.terminate()
            output, _ = server.communicate(timeout=60)
    text = log.read_text()
    assert MARK.lower() not in (text + output).lower()
    assert not output, "the log is on standard error"
    lines = [json.loads(line) for line in text.splitlines()]
    assert_logged(lines, caller.answers)
    events = Counter(line["event"] for line in lines)
    assert events["sign_in_refused"] == refused
    assert turns_fail == [503, 503]
    assert [each["status"] for each in ended] == ["done", "done", "cancelled"]
    assert (events["job_completed"], events["job_cancelled"], events["job_failed"]) == (2, 1, 0)
    engine = (home / "index").glob("*.log")
    assert all(MARK not in each.read_text() for each in engine)


def assert_logged(lines: list[dict[str, Any]], answers: dict[str, int]) -> None:
    """Each request once in the access log, each that failed once more, and nothing is a fault."""
    asked = Counter(line["request_id"] for line in lines if line["logger"] == "ibid.access")
    assert {*answers} <= {*asked}
    assert {*asked.values()} == {1}
    failed = [line for line in lines if line["event"] in ("request_failed", "turn_failed")]
    assert Counter(line["request_id"] for line in failed) <= asked
    told = {line["request_id"] for line in failed}
    assert {name for name, status in answers.items() if status > 499} <= told
    assert {line["event"] for line in failed} == {"request_failed", "turn_failed"}
    assert not [line for line in lines if line["level"] in ("error", "critical")]
    own = [line for line in failed if line["event"] == "turn_failed"]
    assert all(line["error"] and line["conversation_id"] and line["reason"] for line in own)
