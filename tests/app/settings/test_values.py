"""Values as operators write them: empty, in capitals, with blanks around."""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import ValidationError

from app.settings import Settings
from tests.app.cli.commands import assert_refused, run_ibid

NAMES = sorted(name.upper() for name in Settings.model_fields)


def words() -> list[tuple[str, str]]:
    """Every setting with each of the words that it may be."""
    found: list[tuple[str, str]] = []
    for name, field in Settings.model_fields.items():
        for choice in (field.annotation, *get_args(field.annotation)):
            if get_origin(choice) is Literal:
                found += [(name, word) for word in get_args(choice)]
            elif choice is bool:
                found += [(name, word) for word in ("true", "false", "on", "off", "yes", "no")]
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("nothing", ["", " ", "\t\n"])
def test_an_empty_variable_is_an_unset_one(
    monkeypatch: pytest.MonkeyPatch, name: str, nothing: str
) -> None:
    usual = Settings()
    monkeypatch.setenv(name, nothing)
    assert Settings() == usual
    assert Settings().model_fields_set == usual.model_fields_set


@pytest.mark.parametrize(
    "line", ["{}=", "{}= ", "{}=''", '{}=" "', "export {}=", "{}", "{}=  # none"]
)
def test_an_empty_line_of_the_file_is_none(tmp_path: Path, line: str) -> None:
    file = tmp_path / ".env"
    file.write_text("".join(f"{line.format(name)}\n" for name in NAMES))
    read = Settings(_env_file=file)  # type: ignore[call-arg]
    assert read == Settings()
    assert not read.model_fields_set


def test_an_empty_variable_hides_no_line_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "x.env").write_text("RATE_LIMIT=7\nLLM=extractive\n")
    monkeypatch.setenv("RATE_LIMIT", "")
    monkeypatch.setenv("LLM", " ")
    read = Settings(_env_file=tmp_path / "x.env")  # type: ignore[call-arg]
    assert (read.rate_limit, read.llm) == (7, "extractive")


def test_commands_take_empty_variables(tmp_path: Path) -> None:
    empty = {name: "" for name in NAMES if name != "IBID_HOME"}
    for command in (["doctor"], ["corpora", "list"], ["db", "current"]):
        result = run_ibid(tmp_path / "home", *command, **empty)
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("name", "word"), words())
def test_a_word_is_the_same_in_capitals(
    monkeypatch: pytest.MonkeyPatch, name: str, word: str
) -> None:
    def read(value: str) -> Any:
        monkeypatch.setenv(name.upper(), value)
        return getattr(Settings(), name)

    usual = read(word)
    for spelling in (word.upper(), word.title(), f" {word.upper()} ", f"{word}\n"):
        assert read(spelling) == usual, spelling


def test_every_word_is_written_small() -> None:
    assert all(word == word.lower() for _, word in words())


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("auth_algorithms", " eddsa, RS256,es256 ", "EdDSA,RS256,ES256"),
        ("rate_limit_store", "File", "file"),
        ("rate_limit_store", "REDIS://127.0.0.1", "redis://127.0.0.1"),
        ("auth_sign_in_url", "HTTPS://docs.example.com/ask", "HTTPS://docs.example.com/ask"),
    ],
)
def test_names_and_schemes_are_the_same_in_capitals(name: str, value: str, read: str) -> None:
    assert getattr(Settings.model_validate({name: value}), name) == read


@pytest.mark.parametrize("name", ["trusted_proxies", "allowed_networks"])
def test_networks_are_read_in_one_way(name: str) -> None:
    read = Settings.model_validate({name: "127.0.0.1, 10.0.0.0/8,::1"})
    assert getattr(read, name) == "127.0.0.1/32,10.0.0.0/8,::1/128"
    with pytest.raises(ValidationError, match="'nginx' is neither an IP address nor a network"):
        Settings.model_validate({name: "nginx"})
    with pytest.raises(ValidationError, match=r"10.0.0.0/8 for the network, or 10.1.2.3 for the"):
        Settings.model_validate({name: "10.1.2.3/8"})


def test_a_wrong_word_is_told_with_the_right_ones(tmp_path: Path) -> None:
    told = "LOG_LEVEL is not valid: Input should be 'debug', 'info', 'warning' or 'error'."
    assert_refused(run_ibid(tmp_path / "home", "ask", "lamp", LOG_LEVEL="LOUD"), told)


def test_a_file_that_is_no_text_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes("LLM=caf\xe9\n".encode("latin-1"))
    assert_refused(
        run_ibid(tmp_path / "home", "ask", "lamp"), "The file .env cannot be read: save it"
    )
