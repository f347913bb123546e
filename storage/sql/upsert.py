"""Inserts of rows that may exist already.

`on conflict` has the same syntax in both databases, but SQLAlchemy has an `insert` for each of them.
"""

from functools import cache
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession


def build_insert(session: AsyncSession, table: type[SQLModel]) -> Any:
    """Return an `insert` that supports `on_conflict_do_nothing` and `on_conflict_do_update`.

    Pass the rows as parameters: the statement is then compiled only once, and the ORM skips the rows.
    """
    return _build_insert(inspect(table).local_table, session.get_bind().dialect.name)


@cache
def _build_insert(table: Any, dialect: str) -> Any:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table)


def column_values(row: SQLModel) -> dict[str, Any]:
    """Return a row as parameters for `build_insert`, without None: the database generates such keys."""
    values = {name: getattr(row, name) for name in type(row).model_fields}
    return {name: value for name, value in values.items() if value is not None}
