"""`ibid jobs`: list, show and cancel background jobs."""

from typing import TYPE_CHECKING
from uuid import UUID

import click

from app.cli.runtime import run_command
from app.cli.terminal import echo, echo_json

if TYPE_CHECKING:
    from app.wiring import Services
    from pipelines.jobs.models import Job

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_id = click.argument("job_id", type=click.UUID)


@click.group(invoke_without_command=True)
@click.pass_context
def jobs(context: click.Context) -> None:
    """List, show and cancel jobs."""
    if context.invoked_subcommand is None:
        context.invoke(list_jobs, limit=20, as_json=False)


@jobs.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 200))
@_as_json
def list_jobs(limit: int, as_json: bool) -> None:
    """List the latest jobs, newest first."""

    async def work(services: "Services") -> None:
        found = await services.jobs.recent(limit)
        if as_json:
            echo_json({"jobs": [job.model_dump(mode="json") for job in found]})
            return
        if not found:
            echo("There are no jobs. Uploading files over REST creates one.")
        for job in found:
            echo(_format_job(job))

    run_command(work)


@jobs.command()
@_id
@_as_json
def show(job_id: UUID, as_json: bool) -> None:
    """Show the status and progress of job JOB_ID."""

    async def work(services: "Services") -> None:
        _show(await services.jobs.get(job_id), as_json=as_json)

    run_command(work)


@jobs.command()
@_id
@_as_json
def cancel(job_id: UUID, as_json: bool) -> None:
    """Cancel job JOB_ID. What it has done so far stays."""

    async def work(services: "Services") -> None:
        _show(await services.jobs.cancel(job_id), as_json=as_json)

    run_command(work)


def _show(job: "Job", *, as_json: bool) -> None:
    if as_json:
        echo_json(job.model_dump(mode="json"))
        return
    echo(_format_job(job))
    for failure in job.failures:
        echo(f"  {failure.path}: {failure.reason}")
    if job.error:
        echo(f"  {job.error}")


def _format_job(job: "Job") -> str:
    count = "" if job.total is None else f" {job.done}/{job.total}"
    failed = f", {len(job.failures)} failed" if job.failures else ""
    return (
        f"{job.id}  {job.created_at:%Y-%m-%d %H:%M}  {job.kind} into {job.corpus or 'all'}: "
        f"{job.status}, {job.phase}{count}{failed}"
    )
