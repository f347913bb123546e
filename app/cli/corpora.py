"""`ibid corpora`: list, create, change and delete corpora."""

from typing import TYPE_CHECKING

import click

from app.cli.runtime import run_command
from app.cli.terminal import echo, echo_json

if TYPE_CHECKING:
    from app.wiring import Services

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def corpora() -> None:
    """List, create, change and delete corpora."""


@corpora.command("list")
@_as_json
def list_corpora(as_json: bool) -> None:
    """List the corpora with their numbers of sources and passages."""

    async def work(services: "Services") -> None:
        found = await services.library.corpora()
        if as_json:
            echo_json({"corpora": [corpus.model_dump(mode="json") for corpus in found]})
            return
        if not found:
            echo("There are no corpora yet: run `ibid ingest PATH`.")
        for corpus in found:
            echo(
                f"{corpus.name}: {corpus.sources} sources, {corpus.passages} passages, "
                f"{corpus.language}, {corpus.base_url or 'links to the files'}"
            )

    run_command(work)


@corpora.command("create")
@click.argument("name")
@click.option("--base-url", help="Where the pages are published; footnotes link there.")
@click.option("--language", default="en", show_default=True, help="ISO 639 code.")
def create_corpus(name: str, base_url: str | None, language: str) -> None:
    """Create an empty corpus NAME."""

    async def work(services: "Services") -> None:
        corpus = await services.library.create(name, base_url, language)
        echo(f"Created {corpus.name}. Fill it: ibid ingest PATH --corpus {corpus.name}")

    run_command(work)


@corpora.command("access")
@click.argument("name")
@click.option("--public", is_flag=True, help="Let everyone who can ask questions read it.")
@click.option("--user", "names", multiple=True, help="Let this user read it; can be repeated.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    help="Let this group of the token issuer read it; can be repeated.",
)
def set_access(name: str, public: bool, names: tuple[str, ...], groups: tuple[str, ...]) -> None:
    """Set who may read corpus NAME.

    With --public, everyone can read it; otherwise only the given users and groups. Without an
    option, only admins can read it.
    """
    if public and (names or groups):
        raise click.UsageError("Use either --public, or --user and --group.")
    listed = [*(f"user:{one}" for one in names), *(f"group:{one}" for one in groups)]

    async def work(services: "Services") -> None:
        corpus = await services.library.set_readers(name, None if public else listed)
        to = "everyone who can ask" if public else ", ".join(corpus.readers) or "admins only"
        echo(f"{name} can be read by {to}.")

    run_command(work)


@corpora.command("peer-review")
@click.argument("name")
@click.argument("weight", type=float)
def prefer_peer_reviewed(name: str, weight: float) -> None:
    """Prefer peer-reviewed sources of corpus NAME.

    WEIGHT is a number from 0 (no preference) to 1. Sources are marked with `peer_reviewed`.
    """

    async def work(services: "Services") -> None:
        corpus = await services.library.set_peer_review_weight(name, weight)
        if corpus.peer_review_weight:
            echo(
                f"{name} prefers peer-reviewed sources. Answers say which claims rest on other sources."
            )
        else:
            echo(f"{name} has no preference for peer-reviewed sources.")

    run_command(work)


@corpora.command("delete")
@click.argument("name")
@click.confirmation_option(prompt="Delete the corpus and everything in it?")
def delete_corpus(name: str) -> None:
    """Delete corpus NAME with its sources, passages and texts."""

    async def work(services: "Services") -> None:
        await services.library.delete(name)
        echo(f"Deleted {name}.")

    run_command(work)
