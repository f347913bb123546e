"""What an address of Postgres asks for really holds: schema, sockets, hosts, certificates."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from pipelines.jobs.store import JobStore
from storage.errors import DatabaseUnavailable, InvalidInput
from storage.locks import PostgresLocks
from storage.sql.database import Database
from storage.sql.repositories.corpora import Corpora
from storage.sql.tables import Corpus
from tests.conftest import fresh_database
from tests.postgres import Postgres, free_port
from tests.storage.certificates import Authority
from tests.storage.poolers import needs_pgbouncer

PATHS = ("options=-csearch_path=ibid", "options=-c%20search_path%3Dibid,public", "schema=ibid")


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    return fresh_database(request, "postgres", tmp_path, empty=True)


def name_of(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0]


def schemas(postgres: Postgres, url: str) -> set[str]:
    """Where there are tables."""
    asked = "select distinct table_schema from information_schema.tables"
    found = set(postgres.sql(name_of(url), asked).splitlines())
    return found - {"pg_catalog", "information_schema"}


async def use_database(database: Database) -> None:
    """Reads and writes, more at once than there are connections."""

    async def come_and_go(number: int) -> None:
        async with database.transaction() as session:
            await Corpora(session).add(Corpus(name=f"corpus-{number}"))
        async with database.read_transaction() as session:
            assert f"corpus-{number}" in [corpus.name for corpus in await Corpora(session).all()]

    await asyncio.gather(*(come_and_go(number) for number in range(12)))


async def setting(database: Database, name: str) -> str:
    async with database.read_transaction() as session:
        connection = await session.connection()
        return (await connection.execute(text(f"show {name}"))).scalar_one()


# Schemas


@pytest.mark.parametrize("query", PATHS)
async def test_tables_are_made_in_the_schema_that_is_named(
    postgres: Postgres, url: str, query: str
) -> None:
    postgres.sql(name_of(url), "create schema ibid")
    async with Database.open(f"{url}?{query}") as database:
        await use_database(database)
        assert await database.check() == ""
    assert schemas(postgres, url) == {"ibid"}
    async with Database.open(f"{url}?{query}") as database, database.read_transaction() as session:
        assert len(await Corpora(session).all()) == 12


async def test_two_schemas_of_one_database_know_nothing_of_each_other(
    postgres: Postgres, url: str
) -> None:
    for name in ("one", "Two Words"):
        postgres.sql(name_of(url), f'create schema "{name}"')
        async with Database.open(f"{url}?schema={name}") as database:
            await use_database(database)
    assert schemas(postgres, url) == {"one", "Two Words"}


@pytest.mark.parametrize("query", PATHS)
async def test_a_schema_that_is_not_there_is_told(postgres: Postgres, url: str, query: str) -> None:
    with pytest.raises(InvalidInput, match=r"schema 'ibid' does not exist: use CREATE SCHEMA"):
        async with Database.open(f"{url}?{query}"):
            pass
    assert schemas(postgres, url) == set()


@needs_pgbouncer
@pytest.mark.slow
@pytest.mark.parametrize("query", [*PATHS, "pgbouncer=true&schema=ibid&application_name=x"])
async def test_the_schema_holds_behind_a_pooler(
    postgres: Postgres, pooled: str, url: str, query: str
) -> None:
    """Where a connection can have no settings, and those of others must not be met on it."""
    postgres.sql(name_of(url), "create schema ibid")
    async with Database.open(f"{pooled}?{query}") as database, Database.open(pooled) as other:
        await asyncio.gather(use_database(database), use_database(other))
        assert await setting(other, "search_path") == '"$user", public'
    assert schemas(postgres, url) == {"ibid", "public"}


async def test_migrations_go_to_the_same_schema_by_the_direct_address(
    postgres: Postgres, url: str
) -> None:
    postgres.sql(name_of(url), "create schema ibid")
    async with Database.open(f"{url}?schema=ibid", direct_url=url) as database:
        await use_database(database)
    assert schemas(postgres, url) == {"ibid"}
    with pytest.raises(
        InvalidInput, match="DATABASE_DIRECT_URL cannot be used: its schema differs"
    ):
        async with Database.open(f"{url}?schema=ibid", direct_url=f"{url}?schema=public"):
            pass


async def test_other_options_hold_in_every_transaction(url: str) -> None:
    options = "-cstatement_timeout=1234 -c application_name=ours -c timezone=UTC"
    async with Database.open(f"{url}?options={options}") as database:
        assert await setting(database, "statement_timeout") == "1234ms"
        assert await setting(database, "application_name") == "ours"


@pytest.mark.parametrize("option", ["no_such=1", "statement_timeout=soon", "port=1"])
async def test_an_option_that_the_server_refuses_is_told(url: str, option: str) -> None:
    with pytest.raises(InvalidInput, match="DATABASE_URL cannot be used: options: ") as raised:
        async with Database.open(f"{url}?options=-c{option}"):
            pass
    assert "\n" not in str(raised.value)


async def test_the_application_is_named(url: str) -> None:
    async with Database.open(f"{url}?application_name=handbook") as database:
        assert await setting(database, "application_name") == "handbook"


@pytest.mark.slow
async def test_jobs_are_kept_in_the_schema_that_is_named(postgres: Postgres, url: str) -> None:
    for address, place in ((url, "dbos"), (f"{url}?options=-csearch_path=queue", "queue")):
        client = await asyncio.to_thread(JobStore(Path(), address).open)
        await asyncio.to_thread(client.destroy)
        assert place in schemas(postgres, url)
    assert schemas(postgres, url) == {"dbos", "queue"}


# Where it is


async def test_a_socket_is_a_host(postgres: Postgres, url: str) -> None:
    address = f"postgresql://postgres@/{name_of(url)}?host={postgres.sockets}&port={postgres.port}"
    async with Database.open(address) as database:
        await use_database(database)
    release = await PostgresLocks(address).try_acquire("lamp")
    assert release
    await release()


@pytest.mark.parametrize("attribute", ["any", "primary", "read-write"])
async def test_of_several_hosts_one_that_answers_is_used(
    postgres: Postgres, url: str, attribute: str
) -> None:
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{postgres.port}"
    address = f"postgresql://postgres@{hosts}/{name_of(url)}?target_session_attrs={attribute}"
    async with Database.open(address) as database:
        await use_database(database)
    release = await PostgresLocks(address).try_acquire("lamp")
    assert release
    await release()


async def test_where_no_host_answers_all_are_named() -> None:
    one, other = free_port(), free_port()
    address = f"postgresql://owner:secret@127.0.0.1:{one},localhost:{other}/d"
    told = rf"at 127.0.0.1:{one}, localhost:{other} cannot be reached: Connection refused\."
    with pytest.raises(DatabaseUnavailable, match=told) as raised:
        async with Database.open(address, connect_timeout=0.1):
            pass
    assert "owner" not in str(raised.value)


async def test_who_is_refused_is_not_told(postgres: Postgres, url: str) -> None:
    place = f"127.0.0.1:{postgres.port}"
    address = f"postgresql://pLanted9:pLanted9@{place}/{name_of(url)}"
    with pytest.raises(DatabaseUnavailable, match=rf"at {place} cannot be reached: role") as raised:
        async with Database.open(address, connect_timeout=0.1):
            pass
    assert "pLanted9" not in str(raised.value)
    with pytest.raises(DatabaseUnavailable, match="JOBS_DATABASE_URL") as raised:
        await PostgresLocks(address).try_acquire("lamp")
    assert "pLanted9" not in str(raised.value)


# Passwords and certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    folder.chmod(0o755)
    authority = Authority(folder)
    authority.issue("server", "127.0.0.1")
    authority.issue("postgres")
    authority.issue("locked", password="pass word")
    return folder


@pytest.fixture(scope="module")
def encrypted(certificates: Path) -> Iterator[Postgres]:
    """A server that speaks TLS only, and to those alone whom the authority knows or who have the password."""
    server = Postgres("ssl=on", "ssl_ca_file=root.pem", "ssl_cert_file=s.pem", "ssl_key_file=s.key")
    for source, target in (
        ("root.pem", "root.pem"),
        ("server.pem", "s.pem"),
        ("server.key", "s.key"),
    ):
        kept = shutil.copy(certificates / source, server.sockets / target)
        if os.geteuid() == 0:
            shutil.chown(kept, "postgres")
    server.start()
    server.sql("postgres", "create role \"o@w/n er\" superuser login password 'p@ss/w:rd'")
    (server.sockets / "pg_hba.conf").write_text(
        'hostssl all "o@w/n er" 127.0.0.1/32 scram-sha-256\n'
        "hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n"
        "local all all trust\n"
    )
    server.sql("postgres", "select pg_reload_conf()")
    try:
        yield server
    finally:
        server.close()


async def can_connect(address: str) -> bool:
    """Whether both drivers can; they must agree."""
    try:
        async with Database.connect(address, connect_timeout=0.5) as database:
            assert await database.revision() is None
        ours = True
    except DatabaseUnavailable:
        ours = False
    try:
        release = await PostgresLocks(address).try_acquire("lamp")
        assert release
        await release()
    except DatabaseUnavailable:
        assert not ours
    else:
        assert ours
    return ours


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "is_opened"),
    [
        ("sslmode=verify-full&sslrootcert={}/root.pem", True),
        ("sslmode=verify-ca&sslrootcert={}/root.pem", True),
        ("sslmode=require&sslrootcert={}/root.pem&channel_binding=require", True),
        ("sslmode=prefer", True),
        ("", True),
        ("sslmode=require", False),
        ("sslmode=verify-ca", False),
        ("sslmode=disable", False),
    ],
)
async def test_certificates_are_verified_by_every_driver(
    encrypted: Postgres, certificates: Path, query: str, is_opened: bool
) -> None:
    where = f"o%40w%2Fn%20er:p%40ss%2Fw%3Ard@127.0.0.1:{encrypted.port}/postgres"
    assert await can_connect(f"postgresql://{where}?{query.format(certificates)}") is is_opened


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "is_opened"),
    [
        ("&sslcert={0}/postgres.pem&sslkey={0}/postgres.key", True),
        ("&sslcert={0}/locked.pem&sslkey={0}/locked.key&sslpassword=pass%20word", True),
        ("", False),
    ],
)
async def test_a_client_has_a_certificate(
    encrypted: Postgres, certificates: Path, query: str, is_opened: bool
) -> None:
    where = f"postgres@127.0.0.1:{encrypted.port}/postgres"
    ours = f"sslmode=verify-full&sslrootcert={certificates}/root.pem{query.format(certificates)}"
    assert await can_connect(f"postgresql://{where}?{ours}") is is_opened


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sslrootcert=/no/such", "sslrootcert: No such file"),
        ("sslrootcert={0}/empty", "sslrootcert: it contains no PEM data"),
        ("sslcert={0}/no", "sslcert: No such file"),
        ("sslcert={0}/postgres.pem&sslkey={0}/locked.key", "do not match"),
        ("sslcert={0}/locked.pem&sslkey={0}/locked.key", "do not match"),
        ("sslcert={0}/postgres.pem&sslkey={0}/server.key", "do not match"),
    ],
)
async def test_files_that_cannot_be_used_are_told(
    certificates: Path, query: str, told: str
) -> None:
    (certificates / "empty").touch()
    with pytest.raises(InvalidInput, match=f"^DATABASE_URL cannot be used: .*{told}"):
        async with Database.open(f"postgresql://h/d?sslmode=require&{query.format(certificates)}"):
            pass
