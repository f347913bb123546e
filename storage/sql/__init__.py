"""SQLite and Postgres: tables, migrations and repositories."""
