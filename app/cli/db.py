"""`ibid db`: the schema of the SQL database."""

from typing import TYPE_CHECKING

import click

from app.cli.runtime import EXIT_MISUSED, fail, run_with_database
from app.cli.terminal import echo

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
        echo(f"The schema is at {await database.revision()}.")

    run_with_database(work)


@db.command()
def current() -> None:
    """Show the migration that the schema is at."""

    async def work(database: "Database") -> None:
        echo(await database.revision() or "empty")

    run_with_database(work)


@db.command()
def check() -> None:
    """Check the schema.

    Exit with code 2 if it is not the schema that this version of Ibid expects.
    """

    async def work(database: "Database") -> None:
        wrong = await database.check()
        if wrong:
            fail(wrong, EXIT_MISUSED)
        echo("The schema is up to date.")

    run_with_database(work)
