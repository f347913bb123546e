"""The command line as a user has it: in this process, or as the installed script in its own."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from click.testing import CliRunner, Result

from app.cli import main
from app.settings import Settings
from storage.index.embedded.files import is_locked

LOGGERS = ("ibid", "_granian", "granian", "litestar", "uvicorn", "dbos")
SCRIPT = Path(sys.executable).with_name("ibid")
FUEL = "How much paraffin does the lamp burn?"
CHESS = "Who won the chess championship in 1972?"


def run_ibid(home: Path, *arguments: str | Path, **settings: str) -> Result:
    """`ibid ARGUMENTS` in this process, with no settings of the machine's."""
    unset: dict[str, str | None] = {name.upper(): None for name in Settings.model_fields}
    environment = {**unset, "IBID_HOME": str(home), **settings}
    before = os.umask(0)
    os.umask(before)
    with restore_logging():
        try:
            return CliRunner().invoke(main, [str(one) for one in arguments], env=environment)
        finally:
            os.umask(before)  # what a command sets for its process is not for the tests that follow


@contextmanager
def restore_logging() -> Iterator[None]:
    """What is set up for logging meanwhile is undone at the end."""
    root, hook = logging.getLogger(), sys.excepthook
    names = [name for name in root.manager.loggerDict if name.split(".")[0] in LOGGERS]
    loggers = [root, *map(logging.getLogger, {*names, *LOGGERS})]
    kept = [(each, each.handlers[:], each.level, each.propagate) for each in loggers]
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        sys.excepthook = hook
        for logger, handlers, level, propagate in kept:
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)


def environment(home: Path) -> dict[str, str]:
    """For a process that has to do without the machine's settings."""
    names = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {**kept, "IBID_HOME": str(home)}


def run_script(
    home: Path, *arguments: str | Path, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """`ibid ARGUMENTS` as a shell would run it, in the folder above the home.

    `prefix` stands before it.
    """
    return subprocess.run(
        [*prefix, SCRIPT, *arguments],
        env=environment(home),
        cwd=home.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def parse(command: click.Command, arguments: Sequence[str]) -> None:
    """By the real command line, and without running it: an unknown command or option is an error."""
    context = click.Context(command, resilient_parsing=True)
    _, rest, _ = command.make_parser(context).parse_args(list(arguments))
    if isinstance(command, click.Group) and rest:
        following = command.get_command(context, rest[0])
        assert following is not None, f"there is no command {rest[0]!r}"
        parse(following, rest[1:])


def assert_refused(result: Result, text: str, code: int = 2) -> None:
    """One line on standard error that says what was wrong, and nothing on standard output."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    (line,) = result.stderr.splitlines()
    assert line.startswith("ibid: ")
    assert text in line
    assert result.stdout == ""


def wait_until_released(home: Path) -> None:
    """Returns when the engine process has let go of the index."""
    while is_locked(home / "index"):
        time.sleep(0.01)
