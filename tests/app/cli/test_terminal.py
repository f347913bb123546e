"""A document cannot command the terminal that shows it."""

import json
from pathlib import Path

import pytest

from app.cli.terminal import echo, echo_json
from tests.app.cli.commands import run_ibid

HIDDEN = "\x1b]0;owned\x07\x1b[2J\u202e\u200b\x9b31m"


def test_text_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    echo(f"The {HIDDEN}lamp", bold=True)
    echo("می\u200cخواهم")
    assert capsys.readouterr().out == "The ]0;owned[2J31mlamp\nمی\u200cخواهم\n"


def test_json_says_the_same_in_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    echo_json({"title": HIDDEN, "name": "naïve 灯"})
    out = capsys.readouterr().out
    assert not any(character in out for character in "\x1b\x07\u202e\u200b\x9b")
    assert json.loads(out) == {"title": HIDDEN, "name": "naïve 灯"}
    assert "naïve 灯" in out


def test_a_page_with_control_characters_is_shown_without(home: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text(f"# Lamp {HIDDEN}\n\n" + "The lamp burns paraffin. " * 20)
    assert run_ibid(home, "ingest", str(tmp_path / "docs")).exit_code == 0
    for command in (
        ["search", "lamp"],
        ["ask", "What does the lamp burn?"],
        ["search", "lamp", "--json"],
    ):
        out = run_ibid(home, *command).stdout
        assert "paraffin" in out
        assert not any(character in out for character in "\x1b\x07\u202e\u200b\x9b"), command
