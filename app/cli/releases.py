"""`ibid reindex`, `ibid releases` and `ibid rollback`: list, build and activate releases."""

from typing import TYPE_CHECKING, Literal

import click

from app.cli.progress import progress_bar
from app.cli.runtime import run_command
from app.cli.terminal import echo, echo_json

if TYPE_CHECKING:
    from app.wiring import Services
    from pipelines.releases.publish import ReindexResult
    from pipelines.releases.service import Proposal, ReleaseSummary

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.option("--from-sources", "origin", flag_value="sources", help="Read the files again.")
@click.option(
    "--from-passages",
    "origin",
    flag_value="passages",
    help="Copy the passages of the active release.",
)
@_as_json
def reindex(origin: Literal["sources", "passages"] | None, as_json: bool) -> None:
    """Build a release with the current configuration, then activate it. Searches work meanwhile.

    By default files are read again only if this version of Ibid reads or splits them differently.
    """

    async def work(services: "Services") -> None:
        with progress_bar("Building", shown=not as_json) as progress:
            built = await services.reindexing.reindex(origin, progress)
        _show(built, as_json=as_json)

    run_command(work)


@click.command()
@_as_json
def releases(as_json: bool) -> None:
    """List the active release and those that are kept, newest first."""

    async def work(services: "Services") -> None:
        found = await services.reindexing.releases()
        proposal = await services.reindexing.proposal()
        if as_json:
            echo_json(
                {
                    "releases": [one.model_dump(mode="json") for one in found],
                    "proposal": proposal and proposal.model_dump(mode="json"),
                }
            )
            return
        if not found:
            echo("There is no release yet: run `ibid ingest PATH`.")
        for one in found:
            echo(_format_release(one))
        if proposal:
            echo(format_proposal(proposal))

    run_command(work)


@click.command()
@click.argument("release", required=False)
@_as_json
def rollback(release: str | None, as_json: bool) -> None:
    """Activate a kept RELEASE again, by default the last one.

    What was ingested or removed in the meantime is applied to it first.
    """

    async def work(services: "Services") -> None:
        _show(await services.reindexing.rollback(release), as_json=as_json)

    run_command(work)


def format_proposal(proposal: "Proposal") -> str:
    """Return a line that says what differs, and the maximum cost of a reindex."""
    return (
        f"The configuration differs from the active release ({', '.join(proposal.changed)}). "
        f"Run `ibid reindex` to build a new release. It needs at most {proposal.sources:,} sources, "
        f"{proposal.passages:,} passages, {proposal.calls:,} embedding calls, "
        f"about {proposal.tokens:,} tokens."
    )


def _format_release(release: "ReleaseSummary") -> str:
    built = release.fingerprint
    return (
        f"{release.name}  {release.state:8}  {release.sources} sources, {release.passages} passages  "
        f"{built.embedding} ({built.dimension})  reader {built.reader}, splitter {built.splitter}  "
        f"{release.created_at:%Y-%m-%d %H:%M} UTC"
    )


def _show(built: "ReindexResult", *, as_json: bool) -> None:
    if as_json:
        echo_json(built.model_dump(mode="json"))
        return
    echo(
        f"{built.release} is active: {built.sources} sources, {built.passages} passages, "
        f"in {built.seconds:.1f} s. {built.before} is kept: run `ibid rollback` to activate it again."
    )
