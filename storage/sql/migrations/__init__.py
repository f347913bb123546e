"""Alembic, configured in code: the same migrations for SQLite and Postgres."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection

from storage.errors import DatabaseUnavailable
from storage.sql.tables import SCHEMA


def configuration(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration, with the connection to use, if there is one."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Migrate the schema to the newest revision, inside the caller's transaction.

    Raises `DatabaseUnavailable` for a schema that a newer version of Ibid has created.
    """
    try:
        command.upgrade(configuration(connection), "head")
    except CommandError as error:
        if not isinstance(error.__cause__, ResolutionError):
            raise
        raise DatabaseUnavailable(
            "The database was written by a newer version of Ibid. Use that version."
        ) from error


def differences(connection: Connection) -> list[str]:
    """Return the differences between the schema and Ibid's tables; tables of other programs are ignored."""
    ours = set(SCHEMA.tables)

    def is_ours(_thing: object, name: str | None, kind: str, *_: object) -> bool:
        return kind != "table" or name in ours

    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "include_object": is_ours}
    )
    return [str(found) for found in compare_metadata(context, SCHEMA)]
