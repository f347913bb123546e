"""Rows that may be there already: the two databases spell `on conflict` alike, SQLAlchemy each alone."""

from functools import cache
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession


def inserting(session: AsyncSession, table: type[SQLModel]) -> Any:
    """An `insert` that takes `on_conflict_do_nothing` and `on_conflict_do_update`.

    Rows are given beside it, as parameters: it is compiled once then, and the ORM looks at none.
    """
    return _inserting(inspect(table).local_table, session.get_bind().dialect.name)


@cache
def _inserting(table: Any, dialect: str) -> Any:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table)


def column_values(row: SQLModel) -> dict[str, Any]:
    """A row as such a parameter: values as they are; keys that the database makes, not."""
    values = {name: getattr(row, name) for name in type(row).model_fields}
    return {name: value for name, value in values.items() if value is not None}
