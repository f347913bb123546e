"""Hosted services from the command line: the bill, the doctor, and exit codes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.cli.commands import FUEL, assert_refused, run_ibid
from tests.doubles.services import Doubles, run_in_thread

KEY = "sk-secret-0451"


@pytest.fixture(scope="module")
def doubles() -> Iterator[Doubles]:
    with run_in_thread() as doubles:
        yield doubles


def hosted(doubles: Doubles, *models: str, **more: str) -> dict[str, str]:
    return {
        "OPENROUTER_API_KEY": KEY,
        "OPENROUTER_BASE_URL": doubles.openrouter,
        "OPENROUTER_MODELS": ",".join(f"double/{model}" for model in models),
        "COHERE_BASE_URL": doubles.cohere,
        **more,
    }


def test_a_turn_and_what_it_cost(home: Path, doubles: Doubles) -> None:
    asked = run_ibid(home, "ask", FUEL, **hosted(doubles, "cut", "answers"))
    assert asked.exit_code == 0, asked.output
    assert "Answered by double/answers. double/cut did not answer: the connection" in asked.stdout
    limited = run_ibid(home, "ask", FUEL, **hosted(doubles, "ends-length"))
    assert "The answer is cut off: it reached the limit LLM_MAX_TOKENS." in limited.stdout

    shown = run_ibid(home, "usage")
    assert re.search(r"local  double/answers  1 calls, \d+ \+ \d+ tokens, \$0\.0\d+", shown.stdout)
    assert "Monthly budget: $0.0" in shown.stdout
    each = run_ibid(home, "usage", DAILY_BUDGET_PER_USER="0.5")
    assert re.search(r"^Daily budget of local: \$0\.0\d+, of \$0\.50\.$", each.stdout, re.MULTILINE)
    report = json.loads(run_ibid(home, "usage", "--json", "--days", "1").stdout)
    assert {one["model"] for one in report["spent"]} >= {"double/cut", "double/answers"}
    assert_refused(run_ibid(home, "usage", "--days", "0"), "between 1 and 366")


def test_a_key_may_end_with_a_line_break(home: Path, doubles: Doubles) -> None:
    """As it does when it was written to a file and mounted from there."""
    mounted = hosted(doubles, "answers") | {"OPENROUTER_API_KEY": f"{KEY}\n"}
    asked = run_ibid(home, "ask", FUEL, **mounted)
    assert "Answered by double/answers." in asked.stdout


def test_a_follow_up_says_which_model_made_it_whole(home: Path, doubles: Doubles) -> None:
    models = hosted(doubles, "means-the-foghorn")
    first = json.loads(run_ibid(home, "ask", FUEL, "--json", **models).stdout)
    goes_on = ("--conversation", first["conversation_id"])
    shown = run_ibid(home, "ask", "What is it for?", *goes_on, **models).stdout
    assert "double/means-the-foghorn rewrote the question." in shown
    declined = run_ibid(home, "ask", "And who won at chess in 1972?", *goes_on, **models).stdout
    assert "no model was asked to answer. double/means-the-foghorn rewrote" in declined


def test_a_turn_without_a_model_has_failed(home: Path, doubles: Doubles) -> None:
    failed = run_ibid(home, "ask", FUEL, **hosted(doubles, "status-401"))
    assert_refused(failed, "OPENROUTER_API_KEY", code=1)
    nowhere = hosted(doubles, "answers") | {"OPENROUTER_BASE_URL": "openrouter"}
    assert_refused(run_ibid(home, "ask", FUEL, **nowhere), "OPENROUTER_BASE_URL is not valid")
    spent = run_ibid(home, "ask", FUEL, **hosted(doubles, "answers", DAILY_BUDGET="0"))
    assert_refused(spent, "daily budget", code=1)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LLM_FALLBACKS", "llama3", "MODEL@BASE_URL"),
        ("OPENROUTER_MODELS", " , ", "contains no model"),
        (
            "OPENROUTER_APP_URL",
            "docs.example.com",
            "OPENROUTER_APP_URL is not valid: it must begin",
        ),
        ("LLM_FALLBACK_API_KEYS", f"a={KEY},b={KEY} ", "the host of entry 1 is in none of"),
        (
            "LLM_FALLBACK_API_KEYS",
            f"a={KEY}\n{KEY}",
            "LLM_FALLBACK_API_KEYS is not valid: it contains",
        ),
        ("LLM_FALLBACK_API_KEYS", KEY, "entry 1 does not have the form HOST=KEY"),
        ("OPENROUTER_PROVIDER", "fast", "OPENROUTER_PROVIDER"),
        ("OPENROUTER_API_KEY", f"{KEY}\n{KEY}", "OPENROUTER_API_KEY is not valid: it contains"),
        ("DAILY_BUDGET", "-1", "DAILY_BUDGET"),
        ("COHERE_RERANK_MODEL", "rerank-v3.5", "COHERE_API_KEY"),
        ("LLM_FIRST_TOKEN_SECONDS", "0", "LLM_FIRST_TOKEN_SECONDS"),
        ("RATE_LIMIT_STORE", "memcached://127.0.0.1", "RATE_LIMIT_STORE is not valid: use `file`"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(
    home: Path, doubles: Doubles, name: str, value: str, told: str
) -> None:
    assert_refused(run_ibid(home, "ask", FUEL, **hosted(doubles, "answers") | {name: value}), told)


def test_one_key_is_not_sent_to_two_servers(home: Path, doubles: Doubles) -> None:
    settings = {
        "LLM_FALLBACKS": "m@http://127.0.0.1:1/v1, m@http://127.0.0.1:2/v1",
        "LLM_FALLBACK_API_KEY": KEY,
    }
    assert_refused(
        run_ibid(home, "ask", FUEL, **settings), "the key of each in LLM_FALLBACK_API_KEYS"
    )


def test_thinking_that_uses_up_the_limit_is_told(home: Path, doubles: Doubles) -> None:
    failed = run_ibid(home, "ask", FUEL, **hosted(doubles, "thinks-out"))
    assert_refused(failed, "for reasoning and gave no answer; raise LLM_MAX_TOKENS", code=1)


def test_the_doctor_looks_at_a_server_of_ones_own(home: Path, doubles: Doubles) -> None:
    well = run_ibid(home, "doctor", LLM_FALLBACKS=f"double/answers@{doubles.local}")
    assert well.exit_code == 0, well.output
    assert f"double/answers is at {doubles.local}" in well.stdout
    assert "extractive" not in well.stdout


def test_the_doctor_finds_nothing_wrong(home: Path, doubles: Doubles) -> None:
    fallback = f"double/answers@{doubles.local}"
    settings = hosted(
        doubles,
        "answers",
        LLM_FALLBACKS=fallback,
        COHERE_API_KEY=KEY,
        COHERE_RERANK_MODEL="rerank-v3.5",
        RATE_LIMIT_STORE="file",
    )
    well = run_ibid(home, "doctor", **settings)
    assert well.exit_code == 0, well.output
    for told in (
        "migrated",
        "ibid-1 is active",
        "256 dimensions",
        "rerank-v3.5 works",
        "key is valid",
    ):
        assert told in well.stdout
    assert "share their counts" in well.stdout
    assert "FAIL" not in well.stdout
    assert KEY not in well.output
    assert run_ibid(home, "doctor").exit_code == 0, "with no service at all, too"


def test_the_doctor_notes_that_another_embedding_waits_to_be_built(
    home: Path, doubles: Doubles
) -> None:
    other = {"EMBEDDING": "cohere", "COHERE_API_KEY": "any"}
    well = run_ibid(home, "doctor", **hosted(doubles, "answers") | other)
    assert well.exit_code == 0, well.output
    assert "differs from the active release: provider, embedding, dimension" in well.stdout
    assert "ibid reindex" in well.stdout


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"OPENROUTER_API_KEY": "bad-key"}, "the key was refused"),
        ({"OPENROUTER_API_KEY": "quota-0"}, "no credits left"),
        ({"OPENROUTER_MODELS": "double/answers,double/gone"}, "there is no double/gone"),
        ({"OPENROUTER_BASE_URL": "http://127.0.0.1:9/v1"}, "cannot be reached"),
        ({"LLM_FALLBACKS": "double/gone@http://127.0.0.1:9/v1"}, "cannot be reached"),
        ({"EMBEDDING": "cohere", "COHERE_API_KEY": "bad-key"}, "COHERE_API_KEY was refused"),
        ({"EMBEDDING": "cohere"}, "COHERE_API_KEY, which is not set"),
        ({"COHERE_API_KEY": "any", "COHERE_RERANK_MODEL": "rerank-v0"}, "no such model"),
        ({"RATE_LIMIT_STORE": "redis://127.0.0.1:9"}, "counts requests separately"),
        ({"DATABASE_URL": "sqlite+aiosqlite:////proc/none/ibid.db"}, "Cannot create"),
    ],
)
def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(
    home: Path, doubles: Doubles, change: dict[str, str], told: str
) -> None:
    ill = run_ibid(home, "doctor", "--json", **hosted(doubles, "answers") | change)
    assert ill.exit_code == 1, ill.output
    wrong = [one for one in json.loads(ill.stdout)["findings"] if one["state"] == "wrong"]
    assert any(told in one["told"] for one in wrong), wrong
    assert all(one["mend"] for one in wrong)
    assert KEY not in ill.output
    assert "bad-key" not in ill.output
