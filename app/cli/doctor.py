"""`ibid doctor`: show whether everything that is configured works, and how to fix it."""

import asyncio

import click

from app.cli.runtime import EXIT_FAILED, load_settings
from app.cli.terminal import echo, echo_json
from app.doctor import run_checks

_MARKS = {"ok": ("ok  ", "green"), "note": ("note", "yellow"), "wrong": ("FAIL", "red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Check the database, the index and all configured services. Exit with code 1 if one fails."""
    findings = asyncio.run(run_checks(load_settings()))
    if as_json:
        echo_json({"findings": [finding.model_dump() for finding in findings]})
    for finding in () if as_json else findings:
        mark, colour = _MARKS[finding.state]
        echo(mark, fg=colour, nl=False)
        echo(f"  {finding.name}: {finding.told}")
        if finding.mend:
            echo(f"      {finding.mend}")
    if any(finding.state == "wrong" for finding in findings):
        raise click.exceptions.Exit(EXIT_FAILED)
