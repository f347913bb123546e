"""Convert Postgres URLs for psycopg, and for DBOS, which is built on it."""

import re

from storage.errors import InvalidInput
from storage.sql.postgres_tls import root_certificates, sslmode
from storage.sql.postgres_url import PostgresURL, parse_postgres_url

_PASSED_THROUGH = (
    *("application_name", "channel_binding", "connect_timeout", "gssencmode"),
    *("sslcert", "sslkey", "sslpassword", "target_session_attrs"),
)
SETTING_NAME = "JOBS_DATABASE_URL"


def parse_jobs_url(text: str) -> PostgresURL:
    """Parse a URL. Raises `ValueError` if it is invalid, or if jobs cannot be stored there."""
    url = parse_postgres_url(text)
    if url.is_pooled:
        raise ValueError(
            "it is the address of a connection pooler, which loses locks: use the address of the server"
        )
    if "application_name" in url.parameters:
        raise ValueError("application_name is set by the job queue: leave it out")
    return url


def require_jobs_url(text: str) -> PostgresURL:
    """Parse a URL as `parse_jobs_url` does, but raise `InvalidInput`."""
    try:
        return parse_jobs_url(text)
    except ValueError as error:
        raise InvalidInput(f"{SETTING_NAME} cannot be used: {error}.") from None


def connect_arguments(url: PostgresURL) -> dict[str, str]:
    """Return the arguments for `psycopg.connect`."""
    mode = sslmode(url)
    passed = {name: url.parameters[name] for name in _PASSED_THROUGH if name in url.parameters}
    options = " ".join(f"-c {name}={_escape(value)}" for name, value in url.options.items())
    return {
        "host": ",".join(host.name for host in url.hosts),
        "port": ",".join(str(host.port) for host in url.hosts),
        "dbname": url.database,
        **({"user": url.user} if url.user else {}),
        **({"password": url.password} if url.password else {}),
        "sslmode": mode,
        **({"sslrootcert": root_certificates(url)} if mode.startswith("verify") else {}),
        **passed,
        **({"options": options} if options else {}),
    }


def dbos_url(url: PostgresURL) -> str:
    """Return a URL that gives SQLAlchemy the same arguments."""
    from sqlalchemy import URL  # noqa: PLC0415 - only where jobs are kept in Postgres

    query = connect_arguments(url)
    address = URL.create(
        "postgresql",
        query.pop("user", None),
        query.pop("password", None),
        database=query.pop("dbname"),
        query=query,
    )
    return address.render_as_string(hide_password=False)


def _escape(value: str) -> str:
    return re.sub(r"([\s\\])", r"\\\1", value)
