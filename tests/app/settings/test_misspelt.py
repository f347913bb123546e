"""A name that is no setting is told with the nearest one; what other programs are set up by is not."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings.misspelt import SETTINGS, find_misspelt, find_unknown_names
from tests.app.cli.commands import run_ibid

VALUE = "pLanted9"
WELL_KNOWN = Path(__file__).with_name("variables.txt").read_text().split()
"""Of shells, systemd, Windows, CI servers, containers, clouds, databases, frameworks and models."""


def find_messages() -> list[str]:
    return [str(each) for each in find_misspelt()]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("OPENROUTER_MODEL", "OPENROUTER_MODELS"),
        ("openrouter_model", "OPENROUTER_MODELS"),
        ("OPENROUTER_KEY", "OPENROUTER_API_KEY"),
        ("QDRANT_HOST", "QDRANT_URL"),
        ("QDRANT_KEY", "QDRANT_API_KEY"),
        ("COHERE_RERANK", "COHERE_RERANK_MODEL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("IBID_DATABASE_URL", "DATABASE_URL"),
        ("AUTH_JWKS_URI", "AUTH_JWKS_URL"),
        ("LLM_FALLBACK", "LLM_FALLBACKS"),
        ("CORS_ORIGIN", "CORS_ORIGINS"),
        ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("EMBEDING", "EMBEDDING"),
    ],
)
def test_a_misspelt_name_is_told_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, VALUE)
    assert find_messages() == [f"{name.upper()} is not a setting: did you mean {nearest}?"]
    monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(f"{name}={VALUE}\n")
    assert find_messages() == [f"{name.upper()} in .env is not a setting: did you mean {nearest}?"]


def test_what_other_programs_are_set_up_by_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(WELL_KNOWN) > 600
    for name in WELL_KNOWN:
        monkeypatch.setenv(name, VALUE)
    assert find_messages() == []


def test_a_file_of_another_program_is_not_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}={VALUE}\n" for name in WELL_KNOWN))
    assert find_messages() == []
    assert {"POSTGRES_PASSWORD", "AUTH_SECRET"} < {*find_unknown_names()} < {*WELL_KNOWN}


def test_in_a_file_of_settings_the_family_is_enough(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        f"LLM=extractive\nLLM_MODEL={VALUE}\nPOSTGRES_PASSWORD={VALUE}\nIBID_TAG={VALUE}\nLOG_LEVEL=info\n"
        "RATE_LIMIT=7\n"
    )
    assert find_messages() == ["LLM_MODEL in .env is not a setting."]
    assert find_unknown_names() == ["IBID_TAG", "POSTGRES_PASSWORD"]


def test_a_name_beside_the_right_one_is_another_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGLEVEL", VALUE)
    monkeypatch.setenv("LOG_LEVEL", "info")
    assert find_messages() == []


def test_nothing_is_told_of_empty_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENROUTER_MODEL", " ")
    (tmp_path / ".env").write_text("DATABASE_URI=\nLOGLEVEL\n")
    assert find_messages() == []


@given(st.text(max_size=60), st.sampled_from(SETTINGS))
def test_no_value_is_told_whatever_the_file_holds(
    tmp_path_factory: pytest.TempPathFactory, text: str, name: str
) -> None:
    folder = tmp_path_factory.mktemp("file")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / ".env").write_text(f"{name}S={VALUE}\n{text}\n{VALUE}==\n", errors="replace")
        assert VALUE.upper() not in "".join([*find_messages(), *find_unknown_names()]).upper()


COMMANDS = (
    ["ask", "lamp"],
    ["corpora", "list"],
    ["db", "current"],
    ["doctor"],
    ["jobs", "list"],
    ["plan", "."],
    ["releases"],
    ["serve", "--host", "0.0.0.0"],  # noqa: S104 - it is refused
    ["usage"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_tells_it_once(tmp_path: Path, command: list[str]) -> None:
    result = run_ibid(tmp_path / "home", *command, OPENROUTER_MODEL=VALUE)
    line = "ibid: OPENROUTER_MODEL is not a setting: did you mean OPENROUTER_MODELS?"
    assert result.stderr.splitlines().count(line) == 1
    assert line not in result.stdout
    assert VALUE not in result.output


def test_the_doctor_tells_it_and_names_strangers_in_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"QDRANT_HOST={VALUE}\nPOSTGRES_PASSWORD={VALUE}\n")
    result = run_ibid(tmp_path / "home", "doctor", "--json")
    findings = [
        each for each in json.loads(result.stdout)["findings"] if each["name"] == "settings"
    ]
    assert [each["told"] for each in findings] == [
        "QDRANT_HOST in .env is not a setting: did you mean QDRANT_URL?",
        "not settings, and ignored, in .env: POSTGRES_PASSWORD",
    ]
    assert result.exit_code == 0
    assert VALUE not in result.output
