"""Alembic's environment script; it uses the connection from `storage.sql.migrations`."""

from alembic import context
from sqlmodel import SQLModel

import storage.sql.tables  # noqa: F401  # pyright: ignore[reportUnusedImport] - registers the tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
context.run_migrations()
