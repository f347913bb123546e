"""`ibid search` and `ibid ask`."""

from typing import TYPE_CHECKING
from uuid import UUID

import click

from app.chat.request import AnswerRequest
from app.cli.answer_output import show_answer, show_passages
from app.cli.runtime import run_command
from app.cli.terminal import echo_json
from app.retrieval.request import SearchRequest

if TYPE_CHECKING:
    from app.verification.checker import Verify
    from app.wiring import Services


def _parse_pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in values]
    for name, equals, value in pairs:
        if not equals:
            raise click.BadParameter(f"{name + value!r} is not of the form NAME=VALUE.")
    return {name.strip(): value.strip() for name, _equals, value in pairs}


_corpus = click.option(
    "--corpus", "corpora", multiple=True, help="Search only this corpus; can be repeated."
)
_filters = click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_parse_pairs,
    help="Search only this version= or locale=; can be repeated.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.argument("query")
@click.option("-k", "limit", default=10, show_default=True, help="Maximum number of passages.")
@_corpus
@_filters
@_as_json
def search(
    query: str, limit: int, corpora: tuple[str, ...], filters: dict[str, str], as_json: bool
) -> None:
    """Find the passages that are relevant to QUERY, best first."""

    async def work(services: "Services") -> None:
        request = SearchRequest(query, corpora, filters, limit)
        passages = await services.search.passages(request)
        if as_json:
            echo_json({"passages": [passage.model_dump(mode="json") for passage in passages]})
        else:
            show_passages(passages)

    run_command(work)


@click.command()
@click.argument("question")
@click.option("--conversation", type=click.UUID, help="Continue this conversation.")
@_corpus
@_filters
@click.option(
    "--verify",
    type=click.Choice(["off", "mark", "strict"]),
    help="Whether to check claims; strict leaves out claims that no source supports.",
)
@_as_json
def ask(
    question: str,
    conversation: UUID | None,
    corpora: tuple[str, ...],
    filters: dict[str, str],
    verify: "Verify | None",
    as_json: bool,
) -> None:
    """Answer QUESTION from the ingested documents. Every claim has a footnote."""

    async def work(services: "Services") -> None:
        request = AnswerRequest(question, corpora=corpora, filter=filters, verify=verify)
        answer = await services.chat.answer(conversation, request)
        if as_json:
            echo_json(answer.model_dump(mode="json"))
        else:
            show_answer(answer)

    run_command(work)
