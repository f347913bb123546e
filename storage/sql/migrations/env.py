"""Alembic's environment script; it uses the connection from `storage.sql.migrations`."""

from alembic import context

from storage.sql.tables import SCHEMA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SCHEMA,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
context.run_migrations()
