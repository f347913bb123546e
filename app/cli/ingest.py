"""`ibid ingest`: ingest files and folders into a corpus."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.progress import progress_bar
from app.cli.releases import format_proposal
from app.cli.runtime import EXIT_MISUSED, fail, run_command
from app.cli.terminal import echo, echo_json
from pipelines.readers.registry import format_names

if TYPE_CHECKING:
    from app.wiring import Services
    from pipelines.ingestion.service import IngestionReport


@click.command(
    help=f"""Ingest PATHS into a corpus. Unchanged files are skipped.

    The formats are {format_names()}.
    """
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--corpus", default="default", show_default=True, help="The corpus to ingest into.")
@click.option("--base-url", help="Where the pages are published; footnotes link there.")
@click.option(
    "--prune-empty",
    is_flag=True,
    help="If a folder is empty, remove all that was ingested from it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def ingest(
    paths: tuple[Path, ...], corpus: str, base_url: str | None, prune_empty: bool, as_json: bool
) -> None:
    """Ingest files and folders and print the report."""
    for path in paths:
        if path.parts[:1] in (("http:",), ("https:",)):
            fail("Ibid cannot ingest a web address: give files or folders.", EXIT_MISUSED)
    all_failed = False

    async def work(services: "Services") -> None:
        nonlocal all_failed
        with progress_bar("Ingesting", shown=not as_json) as progress:
            report = await services.ingestion.run(
                paths,
                corpus,
                base_url=base_url,
                prune_empty=prune_empty,
                progress=progress,
                on_phase=lambda phase: echo(
                    f"ibid: {_PHASE_MESSAGES[phase].format(corpus)}", err=True
                ),
            )
        if as_json:
            echo_json(report.model_dump(mode="json"))
        else:
            show_report(report, corpus)
        if proposal := await services.reindexing.proposal():
            echo(f"ibid: {format_proposal(proposal)}", err=True)
        all_failed = bool(report.failed) and not (
            report.added or report.changed or report.unchanged
        )

    run_command(work)
    if all_failed:
        raise click.exceptions.Exit(EXIT_MISUSED)


_PHASE_MESSAGES = {
    "waiting": "Waiting: another process is ingesting into {}.",
    "optimizing": "All of {} is ingested and can be searched. Optimizing the index.",
}


def show_report(report: "IngestionReport", corpus: str) -> None:
    """Print the report as text."""
    for failure in report.failed:
        echo(f"ibid: {failure.path}: {failure.reason}", err=True)
    echo(
        f"{corpus}: {report.added} added, {report.changed} changed, {report.unchanged} unchanged, "
        f"{report.removed} removed, {len(report.failed)} failed; "
        f"{report.passages} passages written in {report.seconds:.1f} s."
    )
