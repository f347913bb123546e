"""`ibid db`: the schema of the SQL database."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from app.cli.runtime import MISUSED, fail, load_settings
from app.cli.terminal import say
from storage.errors import IbidError

if TYPE_CHECKING:
    from storage.sql.database import Database


@click.group()
def db() -> None:
    """Upgrade the schema, or tell what it is; nothing else is opened."""


@db.command()
def upgrade() -> None:
    """Bring the schema up to date, as every other command does when it opens the database."""

    async def work(database: "Database") -> None:
        await database.migrate()
        say(f"The schema is at {await database.revision()}.")

    _with_database(work)


@db.command()
def current() -> None:
    """Tell which migration the schema is at."""

    async def work(database: "Database") -> None:
        say(await database.revision() or "empty")

    _with_database(work)


@db.command()
def check() -> None:
    """Tell whether the schema is what this version of Ibid expects; exit code 2 when it is not."""

    async def work(database: "Database") -> None:
        wrong = await database.check()
        if wrong:
            fail(wrong, MISUSED)
        say("The schema is up to date.")

    _with_database(work)


def _with_database(work: Callable[["Database"], Awaitable[None]]) -> None:
    import asyncio  # noqa: PLC0415 - half of the time `ibid --help` takes

    settings = load_settings()

    async def open_and_do() -> None:
        from app.wiring import connect_database  # noqa: PLC0415 - LlamaIndex takes a second

        async with connect_database(settings) as database:
            await work(database)

    try:
        asyncio.run(open_and_do())
    except IbidError as error:
        fail(str(error), MISUSED)
