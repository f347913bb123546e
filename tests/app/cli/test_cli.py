"""The command line: what a person reads, what a program parses, and what goes wrong in one line."""

import asyncio
import json
import re
import sqlite3
from pathlib import Path
from uuid import uuid4

import pytest
from litestar.testing import TestClient

from app.api import create_app
from app.settings import Settings
from storage.index.embedded.client import open_embedded
from tests.app.cli.commands import CHESS, FUEL, assert_refused, run_ibid, run_script
from tests.app.shapes import ANSWER, CITATION, CLAIM, PASSAGE
from tests.library import PAGES, write_docs

REPORT = ["added", "changed", "unchanged", "removed", "failed", "passages", "seconds"]


def run_json(home: Path, *arguments: str | Path) -> dict:
    """The JSON that a command prints."""
    result = run_ibid(home, *arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


# What it does


def test_an_ingestion_reports_what_it_did(tmp_path: Path) -> None:
    home, docs = tmp_path / "home", write_docs(tmp_path / "docs")
    report = run_json(home, "ingest", docs)
    assert list(report) == REPORT
    assert (report["added"], report["failed"]) == (len(PAGES), [])
    assert report["passages"] > len(PAGES)
    (docs / "tides.txt").unlink()
    (docs / "logbook.html").write_text("<h1>The logbook</h1><p>It is kept in ink.</p>")
    (docs / "binary.md").write_bytes(bytes(range(256)) * 9)
    report = run_json(home, "ingest", docs)
    done = [report[key] for key in ("added", "changed", "unchanged", "removed")]
    assert done == [0, 1, len(PAGES) - 2, 1]
    (failed,) = report["failed"]
    assert (failed["path"], failed["reason"]) == (
        str(docs / "binary.md"),
        "It is a binary file, not text.",
    )
    result = run_ibid(home, "ingest", docs)
    assert result.exit_code == 0, "what could be read was"
    assert result.stdout.startswith(f"default: 0 added, 0 changed, {len(PAGES) - 1} unchanged")
    assert result.stderr == f"ibid: {failed['path']}: {failed['reason']}\n"


def test_a_search_shows_passages(home: Path) -> None:
    passages = run_json(home, "search", FUEL, "-k", "2")["passages"]
    assert len(passages) == 2
    assert set(passages[0]) >= PASSAGE
    shown = run_ibid(home, "search", FUEL, "-k", "1").stdout
    assert shown.startswith("1. Lighting the lamp › Fuel")
    assert "The lamp burns 2.4 litres of paraffin an hour." in shown
    assert passages[0]["url"] in shown


def test_an_answer_is_shown_with_its_footnotes(home: Path) -> None:
    shown = run_ibid(home, "ask", FUEL).stdout
    text, *footnotes = shown.split("\n\n[")
    assert re.search(r"2\.4 litres of\s+paraffin an hour[^”]*” \[1\]", text)
    assert footnotes[0].startswith("1] Lighting the lamp › Fuel")
    assert "lighting.md#fuel" in footnotes[0]
    assert "extractive model" in shown
    assert re.search(r"conversation [0-9a-f-]{36}\n$", shown)


def test_what_is_not_spoken_to_is_declined(home: Path) -> None:
    result = run_ibid(home, "ask", CHESS)
    assert result.exit_code == 0
    assert "does not cover this question" in result.stdout
    assert "no model was asked" in result.stdout
    assert run_json(home, "ask", CHESS)["status"] == "abstained"


def test_a_follow_up_goes_on_with_the_conversation(home: Path) -> None:
    first = run_json(home, "ask", "Does the lens turn?")
    second = run_json(home, "ask", "Why?", "--conversation", first["conversation_id"])
    assert second["conversation_id"] == first["conversation_id"]
    assert "a flash every ten seconds" in second["text"]


def test_an_answer_has_one_shape_on_every_door(home: Path) -> None:
    """The command works while the API has the index open, and both find the same."""
    settings = Settings.model_construct(ibid_home=home, allowed_hosts="*")
    with TestClient(create_app(settings)) as client:
        conversation = client.post("/api/v1/conversations").json()["id"]
        path = f"/api/v1/conversations/{conversation}"
        posted = client.post(f"{path}/messages", json={"text": FUEL}).json()
        asked = run_json(home, "ask", FUEL, "--conversation", conversation)
        assert len(client.get(path).json()["messages"]) == 4
        found = client.get("/api/v1/search", params={"q": FUEL}).json()
        assert run_json(home, "search", FUEL) == found
    assert list(asked) == list(posted)
    assert set(asked) == ANSWER
    same = ANSWER - {"id", "message_id"}
    assert {key: asked[key] for key in same} == {key: posted[key] for key in same}
    (claim, *_) = asked["claims"]
    assert set(claim) == CLAIM
    assert set(claim["citations"][0]) == CITATION


def test_corpora_are_made_listed_filled_and_deleted(home: Path, tmp_path: Path) -> None:
    boats = tmp_path / "boats.md"
    boats.write_text("# Boats\n\nThe supply boat burns four litres of oil an hour.\n")
    made = run_ibid(home, "corpora", "create", "boats", "--base-url", "https://boats.example")
    assert made.stdout.startswith("Created boats.")
    assert_refused(run_ibid(home, "corpora", "create", "boats"), "already")
    run_json(home, "ingest", boats, "--corpus", "boats")
    (shelf, default) = run_json(home, "corpora", "list")["corpora"]
    assert (shelf["name"], shelf["sources"], shelf["base_url"]) == (
        "boats",
        1,
        "https://boats.example",
    )
    assert default["sources"] == len(PAGES)
    found = run_json(home, "search", "litres an hour", "--corpus", "boats")["passages"]
    assert [passage["url"] for passage in found] == ["https://boats.example/boats"]
    assert run_ibid(home, "corpora", "list").stdout.startswith("boats: 1 sources, 1 passages, en")
    assert run_ibid(home, "corpora", "delete", "boats", "--yes").stdout == "Deleted boats.\n"
    assert_refused(run_ibid(home, "search", FUEL, "--corpus", "boats"), "There are: default.")


def test_the_script_is_installed(tmp_path: Path) -> None:
    done = run_script(tmp_path / "home", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert "0.1.0" in done.stdout


# What goes wrong


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ingest", "nowhere"], "There is no file or folder nowhere"),
        (["ingest", "empty"], "nothing to read in empty"),
        (["ingest", "https://docs.example.com"], "give files or folders"),
        (["ingest", "picture.png"], "picture.png: Ibid reads .csv"),
        (["ingest", "../docs", "--corpus", "a b"], "is not a valid corpus name"),
        (["ingest", "../docs", "--base-url", "ftp://x"], "http"),
        (["ingest", "../docs", "--base-url", "https://h/\n)"], "not allowed in an address"),
        (["corpora", "create", "x", "--base-url", "https://u:pw@h"], "a user or a password"),
        (["search", ""], "empty"),
        (["search", " \n"], "empty"),
        (["search", "x" * 100_000], "100,000 characters"),
        (["search", "lamp", "-k", "0"], "between 1 and 100"),
        (["search", "lamp", "--corpus", "ships"], "There are: default."),
        (["search", "lamp", "--corpus", "\udcff"], "not valid Unicode"),
        (["ask", ""], "empty"),
        (["ask", "x" * 100_000], "100,000 characters"),
        (["ask", "lamp", "--corpus", "ships"], "There are: default."),
        (["ask", "lamp", "--conversation", str(uuid4())], "no conversation"),
        (["corpora", "create", "ships", "--language", "English"], "language code"),
        (["corpora", "delete", "ships", "--yes"], "There are: default."),
    ],
)
def test_bad_input_is_refused_in_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    folder = home.parent / "here"
    (folder / "empty").mkdir(parents=True, exist_ok=True)
    (folder / "picture.png").write_bytes(b"\x89PNG")
    monkeypatch.chdir(folder)
    assert_refused(run_ibid(home, *arguments), says)


def test_nothing_was_lost_by_all_that(home: Path) -> None:
    (shelf,) = run_json(home, "corpora", "list")["corpora"]
    assert shelf["sources"] == len(PAGES)
    assert run_json(home, "ask", FUEL)["status"] == "answered"


def test_a_question_from_a_broken_terminal_is_searched_as_far_as_it_goes(home: Path) -> None:
    assert "2.4 litres" in run_ibid(home, "search", "paraffin \udcff an hour", "-k", "1").stdout


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("binary.md", bytes(range(256)) * 20, "It is a binary file, not text."),
        ("large.txt", b"A word and another. " * 2_600_000, "larger than the limit"),
        ("blank.md", b" \n\n", "It contains no text."),
    ],
)
def test_a_file_without_readable_text_is_named_with_the_reason(
    home: Path, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    result = run_ibid(home, "ingest", path, "--corpus", "default")
    assert result.exit_code == 2, "nothing at all could be read"
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"ibid: {path}: ")
    assert reason in line
    report = json.loads(run_ibid(home, "ingest", path, "--json").stdout)
    assert reason in report["failed"][0]["reason"]


def test_a_file_in_latin_1_reads_right(home: Path, tmp_path: Path) -> None:
    page = tmp_path / "café.md"
    page.write_bytes("# Café\n\nUn café crème coûte trois francs à Genève.\n".encode("latin-1"))
    run_json(home, "ingest", page, "--corpus", "cafe")
    (passage,) = run_json(home, "search", "café crème", "--corpus", "cafe")["passages"]
    assert "Un café crème coûte trois francs à Genève." in passage["text"]
    run_ibid(home, "corpora", "delete", "cafe", "--yes")


def test_before_anything_is_ingested_it_says_what_to_do(tmp_path: Path) -> None:
    for command in ("search", "ask"):
        assert_refused(run_ibid(tmp_path / "home", command, FUEL), "Run `ibid ingest PATH` first.")
    assert "ibid ingest PATH" in run_ibid(tmp_path / "home", "corpora", "list").stdout


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"LLM": "gpt"}, "LLM is not valid"),
        ({"LLM": "openrouter"}, "OPENROUTER_API_KEY"),
        ({"EMBEDDING": "cohere"}, "COHERE_API_KEY"),
        ({"EMBEDDING": "cohere", "COHERE_API_KEY": "x", "COHERE_EMBED_MODEL": "y"}, "'y'"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL is not valid"),
        (
            {"ALLOWED_NETWORKS": "10.0.0.1/8"},
            "ALLOWED_NETWORKS is not valid: '10.0.0.1/8' is an address within",
        ),
        ({"OPENROUTER_PROVIDER": "[" * 100_000}, "it must be JSON"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL cannot be used"),
        (
            {"DATABASE_URL": "sqlite:///x.db"},
            "it must begin with postgresql:// or sqlite+aiosqlite:///",
        ),
        (
            {"DATABASE_URL": "mysql://u:pw@h/d"},
            "it must begin with postgresql:// or sqlite+aiosqlite:///",
        ),
        ({"DATABASE_URL": "postgresql://h/d?ssl=1"}, "DATABASE_URL is not valid: write sslmode="),
        (
            {"QDRANT_URL": "grpc://h:6334"},
            "QDRANT_URL is not valid: only HTTP is supported",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_named(
    tmp_path: Path, settings: dict[str, str], says: str
) -> None:
    for command in (["ask", FUEL], ["serve"]):
        assert_refused(run_ibid(tmp_path / "home", *command, **settings), says)


def test_a_model_that_fails_is_no_answer(home: Path) -> None:
    openrouter = {
        "OPENROUTER_API_KEY": "sk-secret",
        "OPENROUTER_BASE_URL": "http://127.0.0.1:9/api/v1",
    }
    result = run_ibid(home, "ask", FUEL, "--json", **openrouter)
    assert_refused(result, "did not answer", code=1)
    assert "secret" not in result.output


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104
def test_the_server_stays_on_this_machine(tmp_path: Path, host: str) -> None:
    assert_refused(run_ibid(tmp_path / "home", "serve", "--host", host), "--insecure")


async def test_a_command_goes_through_the_engine_that_another_process_started(home: Path) -> None:
    async with open_embedded(home / "index"):
        done = await asyncio.to_thread(run_script, home, "search", FUEL, "-k", "1", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2.4 litres" in json.loads(done.stdout)["passages"][0]["text"]


def test_all_that_was_said_is_in_the_database(home: Path) -> None:
    """The tests above asked: every question that was answered is kept with its answer."""
    with sqlite3.connect(home / "ibid.db") as connection:
        rows = connection.execute("select role, answer is null from messages").fetchall()
    connection.close()
    assert set(rows) == {("user", 1), ("assistant", 0)}


@pytest.mark.parametrize(
    "refused",
    [
        ["--corpus", "ships"],
        ["--filter", "colour=red"],
        ["--filter", "version=9"],
    ],
)
def test_a_question_that_is_refused_leaves_no_conversation(home: Path, refused: list[str]) -> None:
    settings = Settings.model_construct(ibid_home=home, allowed_hosts="*")
    assert run_ibid(home, "ask", FUEL, *refused).exit_code != 0
    assert run_ibid(home, "ask", FUEL, DAILY_BUDGET="0").exit_code != 0
    with TestClient(create_app(settings)) as client:
        threads = client.get("/api/v1/conversations", params={"limit": 200}).json()["conversations"]
        assert all(thread["title"] for thread in threads)
