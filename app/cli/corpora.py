"""`ibid corpora`: list, create, change and delete corpora."""

from typing import TYPE_CHECKING

import click

from app.cli.runtime import run
from app.cli.terminal import say, say_json

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
        shelves = await services.library.corpora()
        if as_json:
            say_json({"corpora": [shelf.model_dump(mode="json") for shelf in shelves]})
            return
        if not shelves:
            say("There are no corpora yet: run `ibid ingest PATH`.")
        for shelf in shelves:
            say(
                f"{shelf.name}: {shelf.sources} sources, {shelf.passages} passages, "
                f"{shelf.language}, {shelf.base_url or 'links to the files themselves'}"
            )

    run(work)


@corpora.command("create")
@click.argument("name")
@click.option("--base-url", help="Where the pages are published; footnotes link there.")
@click.option("--language", default="en", show_default=True, help="ISO 639 code.")
def create_corpus(name: str, base_url: str | None, language: str) -> None:
    """Create an empty corpus NAME."""

    async def work(services: "Services") -> None:
        shelf = await services.library.create(name, base_url, language)
        say(f"Created {shelf.name}. Fill it: ibid ingest PATH --corpus {shelf.name}")

    run(work)


@corpora.command("access")
@click.argument("name")
@click.option("--public", is_flag=True, help="Everyone who may ask.")
@click.option("--user", "names", multiple=True, help="This user; may be given several times.")
@click.option("--group", "groups", multiple=True, help="This group of the issuer's; likewise.")
def set_access(name: str, public: bool, names: tuple[str, ...], groups: tuple[str, ...]) -> None:
    """Set who may read corpus NAME.

    With --public everyone may, else the given users and groups. Without an option only admins may.
    """
    if public and (names or groups):
        raise click.UsageError("A corpus is public, or for those who are listed.")
    listed = [*(f"user:{one}" for one in names), *(f"group:{one}" for one in groups)]

    async def work(services: "Services") -> None:
        shelf = await services.library.open_to(name, None if public else listed)
        to = "everyone who may ask" if public else ", ".join(shelf.readers) or "admins alone"
        say(f"{name} is open to {to}.")

    run(work)


@corpora.command("peer-review")
@click.argument("name")
@click.argument("weight", type=float)
def prefer_peer_reviewed(name: str, weight: float) -> None:
    """Prefer peer-reviewed sources of corpus NAME.

    WEIGHT is a number from 0 (no preference) to 1. Sources are marked with `peer_reviewed`.
    """

    async def work(services: "Services") -> None:
        shelf = await services.library.prefer_peer_reviewed(name, weight)
        if shelf.peer_review_weight:
            say(f"{name} prefers peer-reviewed sources, and answers say what rests on others.")
        else:
            say(f"{name} makes no difference between sources.")

    run(work)


@corpora.command("delete")
@click.argument("name")
@click.confirmation_option(prompt="Delete the corpus with everything in it?")
def delete_corpus(name: str) -> None:
    """Delete corpus NAME with its sources, passages and texts."""

    async def work(services: "Services") -> None:
        await services.library.delete(name)
        say(f"Deleted {name}.")

    run(work)
