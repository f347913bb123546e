"""`ibid ingest`: files and folders into a corpus."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.running import MISUSED, echo_json, run

if TYPE_CHECKING:
    from app.wiring import Services
    from pipelines.ingestion import Report


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--corpus", default="default", show_default=True, help="The corpus to ingest into.")
@click.option("--base-url", help="Where the pages are published; footnotes link there.")
@click.option("--prune-empty", is_flag=True, help="Accept an empty folder: remove all it held.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def ingest(
    paths: tuple[Path, ...], corpus: str, base_url: str | None, prune_empty: bool, as_json: bool
) -> None:
    """Read PATHS (Markdown, MDX, HTML, text) into a corpus; only what changed is done again."""
    failed_altogether = False

    async def work(services: "Services") -> None:
        nonlocal failed_altogether
        with progress_bar("Ingesting", shown=not as_json) as progress:
            report = await services.ingestion.run(
                paths, corpus, base_url=base_url, prune_empty=prune_empty, progress=progress
            )
        if as_json:
            echo_json(report.model_dump(mode="json"))
        else:
            tell(report, corpus)
        failed_altogether = bool(report.failed) and not (
            report.added or report.changed or report.unchanged
        )

    run(work)
    if failed_altogether:
        raise click.exceptions.Exit(MISUSED)


def tell(report: "Report", corpus: str) -> None:
    """The report for a person."""
    for failure in report.failed:
        click.echo(f"ibid: {failure.path}: {failure.reason}", err=True)
    click.echo(
        f"{corpus}: {report.added} added, {report.changed} changed, {report.unchanged} unchanged, "
        f"{report.removed} removed, {len(report.failed)} failed; "
        f"{report.passages} passages written in {report.seconds:.1f} s."
    )


@contextmanager
def progress_bar(
    title: str, *, shown: bool, unit: str = "sources"
) -> Generator[Callable[[int, int], None]]:
    """A bar on standard error while it is a terminal; nothing otherwise."""
    from rich.console import Console  # noqa: PLC0415 - only where a bar may be drawn
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance
