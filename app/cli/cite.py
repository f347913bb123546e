"""`ibid cite` and `ibid gaps`: commands about answers that were given."""

from typing import TYPE_CHECKING
from uuid import UUID

import click

from app.cli.runtime import run_command
from app.cli.terminal import echo, echo_json
from app.conversations.citation_export import CitationFormat, export

if TYPE_CHECKING:
    from app.wiring import Services


@click.command()
@click.argument("message", type=click.UUID)
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "csl-json", "bibtex"]),
    default="markdown",
    show_default=True,
    help="Format of the output.",
)
def cite(message: UUID, form: CitationFormat) -> None:
    """Print the citations of the answer MESSAGE."""

    async def work(services: "Services") -> None:
        echo(export(await services.history.answer(message), form))

    run_command(work)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def gaps(as_json: bool) -> None:
    """Show the questions that the documentation could not answer, grouped by nearest section."""

    async def work(services: "Services") -> None:
        found = await services.history.gaps()
        if as_json:
            echo_json({"gaps": [gap.model_dump(mode="json") for gap in found]})
            return
        if not found:
            echo("No question was declined, and every claim was supported.")
        for gap in found:
            place = " › ".join(gap.section) or gap.title or "(nothing near)"
            echo(f"{gap.count:>4}  {place}", bold=True)
            for question in gap.questions:
                echo(f"      {question}")

    run_command(work)
