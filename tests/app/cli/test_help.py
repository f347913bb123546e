"""`ibid --help` and shell completion: they show every command, and load none."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from app.cli import main
from tests.app.cli.commands import environment, run_ibid

SLOW = ("asyncio", "llama_index", "pydantic", "rich", "sqlalchemy")
PROGRAM = f"""
import sys
from app.cli import main
try:
    main(sys.argv[1:], prog_name="ibid")
finally:
    loaded = [name for name in {SLOW} if name in sys.modules]
    assert not loaded, loaded
"""


def commands(group: click.Group, *above: str) -> Iterator[list[str]]:
    """The words that call each command, groups among them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        yield [*above, name]
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)


COMMANDS = list(commands(main))


@pytest.mark.parametrize("words", [[], *COMMANDS], ids=" ".join)
def test_every_command_explains_itself(tmp_path: Path, words: list[str]) -> None:
    result = run_ibid(tmp_path / "home", *words, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")
    assert "..." not in result.stdout.partition("\n")[2], "no description is cut"
    assert not (tmp_path / "home").exists(), "help touches nothing"


def test_every_command_has_a_line_of_its_own() -> None:
    for words in COMMANDS:
        lines = run_ibid(Path(), *words[:-1], "--help").stdout.splitlines()
        assert any(line.startswith(f"  {words[-1]}  ") for line in lines), words


def test_an_unknown_command_is_refused_with_the_nearest(tmp_path: Path) -> None:
    result = run_ibid(tmp_path / "home", "serch")
    assert result.exit_code == 2
    assert "'search'" in result.stderr


def run(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=environment(home) | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_loads_no_command(tmp_path: Path) -> None:
    done = run(tmp_path / "home", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Getting started:\n  demo      Try Ibid on its own handbook" in done.stdout


def test_completion_loads_no_command(tmp_path: Path) -> None:
    shell = {"_IBID_COMPLETE": "bash_complete", "COMP_WORDS": "ibid re", "COMP_CWORD": "1"}
    done = run(tmp_path / "home", **shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["plain,reindex", "plain,releases"]
