"""`ibid plan`: estimate the resources that an ingestion needs."""

import asyncio
from pathlib import Path

import click

from app.cli.progress import progress_bar
from app.cli.runtime import EXIT_MISUSED, fail, load_settings
from app.cli.terminal import echo, echo_json
from app.providers.embeddings import configured_fingerprint
from pipelines.ingestion import estimate
from storage.errors import IbidError


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(paths: tuple[Path, ...], as_json: bool) -> None:
    """Estimate what ingesting PATHS needs, and compare it with free plans. Nothing is embedded or stored."""
    settings = load_settings()
    try:
        dimension = configured_fingerprint(settings).dimension
        with progress_bar("Reading", shown=not as_json) as progress:
            found = asyncio.run(estimate.plan(paths, dimension, progress))
    except IbidError as error:
        fail(str(error), EXIT_MISUSED)
    if as_json:
        fits = [{**fit.model_dump(mode="json"), "fits": fit.fits} for fit in found.fits]
        echo_json({**found.model_dump(mode="json"), "fits": fits, "is_free": found.is_free})
    else:
        _print_plan(found)


def _print_plan(found: estimate.Plan) -> None:
    for failure in found.failed:
        echo(f"ibid: {failure.path}: {failure.reason}", err=True)
    echo(
        f"{found.sources:,} sources, {found.passages:,} passages of {found.dimension} dimensions; "
        f"{len(found.failed)} files cannot be read.\n"
        f"Embedding: {found.embedding_calls:,} calls, about {found.tokens:,} tokens "
        "(the local embedding needs neither).\n"
        f"Qdrant: {found.points:,} points, about {_megabytes(found.memory_float32)} of memory as "
        f"float32 or {_megabytes(found.memory_int8)} as int8, {_megabytes(found.disk)} of disk.\n"
        f"SQL: about {_megabytes(found.sql)}.\n\nCompared with the free plans:"
    )
    for fit in found.fits:
        fits = "fits" if fit.fits else "DOES NOT FIT"
        echo(f"  {fit.plan}: {fit.needed:,} of {fit.limit:,} {fit.what}: {fits}")
    echo("It fits the free plans." if found.is_free else "It does not fit the free plans.")
    echo("During a reindex there are two indexes, which need twice the memory and disk.")


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:,.1f} MB"
