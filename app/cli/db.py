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
    """Upgrade or check the schema, without opening anything else."""


@db.command()
def upgrade() -> None:
    """Upgrade the schema. Other commands also do this when they open the database."""

    async def work(database: "Database") -> None:
        await database.migrate()
        say(f"The schema is at {await database.revision()}.")

    _with_database(work)


@db.command()
def current() -> None:
    """Show the migration that the schema is at."""

    async def work(database: "Database") -> None:
        say(await database.revision() or "empty")

    _with_database(work)


@db.command()
def check() -> None:
    """Check whether the schema is the one that this version of Ibid expects. Exit with code 2 if not."""

    async def work(database: "Database") -> None:
        wrong = await database.check()
        if wrong:
            fail(wrong, MISUSED)
        say("The schema is up to date.")

    _with_database(work)


def _with_database(work: Callable[["Database"], Awaitable[None]]) -> None:
    import asyncio  # noqa: PLC0415 - would take half of the time of `ibid --help`

    settings = load_settings()

    async def open_and_do() -> None:
        from app.wiring import connect_database  # noqa: PLC0415 - LlamaIndex takes a second

        async with connect_database(settings) as database:
            await work(database)

    try:
        asyncio.run(open_and_do())
    except IbidError as error:
        fail(str(error), MISUSED)
