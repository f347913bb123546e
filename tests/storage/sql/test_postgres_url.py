"""Addresses of Postgres as providers and other programs print them: obeyed, or refused in one line."""

import re
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url

from storage.errors import InvalidInput
from storage.sql import libpq
from storage.sql.postgres import build_engine
from storage.sql.postgres_url import parse_postgres_url

SECRET = "pLanted9"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("postgresql://u:p@db.example/d", "db.example:5432"),
        ("postgres://u:p@DB.example:6543/d", "DB.example:6543"),
        ("postgresql+asyncpg://u@[::1]:5433/d", "[::1]:5433"),
        ("postgresql+psycopg://u@a:1,b,c:3/d", "a:1, b:5432, c:3"),
        ("postgresql:///d?host=/run/postgresql", "/run/postgresql"),
        ("postgresql://%2Frun%2Fpostgresql/d", "/run/postgresql"),
        ("postgresql://u:p@/d?host=db.example&port=6543", "db.example:6543"),
        ("postgresql:///d?host=a,b&port=1,2", "a:1, b:2"),
        ("postgresql:///d?host=a:1&host=b:2", "a:1, b:2"),
        ("postgresql:///d?host=::1", "[::1]:5432"),
    ],
)
def test_hosts_are_read_however_they_are_written(address: str, place: str) -> None:
    assert parse_postgres_url(address).host_and_port == place


@pytest.mark.parametrize("password", ["p@ss/w:rd", "a?b#c", "50%", "ü ñ", "+&=", "%41"])
def test_a_password_that_is_percent_encoded_is_read(password: str) -> None:
    url = parse_postgres_url(f"postgresql://us%40er:{quote(password, safe='')}@h/d")
    assert (url.user, url.password) == ("us@er", password)
    assert password not in repr(url)


@pytest.mark.parametrize(
    ("query", "schema", "options"),
    [
        ("options=-csearch_path=ibid", "ibid", {"search_path": "ibid"}),
        ("options=-c search_path=ibid", "ibid", {"search_path": "ibid"}),
        ("options=-c%20search_path%3Dibid,public", "ibid", {"search_path": "ibid,public"}),
        ("options=--search-path=Ibid", "ibid", {"search_path": "Ibid"}),
        ('options=-csearch_path="My\\ Docs"', "My Docs", {"search_path": '"My Docs"'}),
        ('options=-csearch_path="$user",public', None, {"search_path": '"$user",public'}),
        ("schema=Ibid", "Ibid", {"search_path": '"Ibid"'}),
        ("schema=ibid&options=-csearch_path=ibid", "ibid", {"search_path": "ibid"}),
        ("options=-cjit=off -c lock_timeout=5s", None, {"jit": "off", "lock_timeout": "5s"}),
        ("pgbouncer=true&statement_cache_size=0", None, {}),
        ("", None, {}),
    ],
)
def test_options_and_schemas_are_read(
    query: str, schema: str | None, options: dict[str, str]
) -> None:
    url = parse_postgres_url(f"postgresql://h/d?{query}")
    assert (url.schema, url.options) == (schema, options)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgresql://h", "name the database at its end"),
        ("postgresql://h/", "name the database at its end"),
        ("postgresql:///d", "name the host, or the folder of its socket"),
        ("postgresql://u:p@/d", "name the host, or the folder of its socket"),
        ("postgresql://h:port/d", "its port must be a number from 1 to 65535"),
        ("postgresql://h:0/d", "its port must be a number from 1 to 65535"),
        ("postgresql://h:65536/d", "its port must be a number from 1 to 65535"),
        ("postgresql://[::1/d", "its host is neither a host name nor an IP address"),
        ("postgresql://h..example/d", "its host is neither a host name nor an IP address"),
        ("postgresql://h/d?host=i", "name host and port once"),
        ("postgresql:///d?host=a,b,c&port=1,2", "name one port, or as many as hosts"),
        ("postgresql://u:p@ss@h/d", "percent-encode"),
        ("postgresql://u:p#w@h/d", "percent-encode"),
        ("postgresql://u%00:p@h/d", "percent-encode"),
        ("postgresql://%ff:p@h/d", "are not UTF-8"),
        ("postgresql+pg8000://h/d", "begin it with postgresql://"),
        ("postgresqlx://h/d", "begin it with postgresql://"),
        ("postgresql://h/d?sslmode=no-verify", "sslmode must be one of disable, allow"),
        ("postgresql://h/d?ssl=true", "write sslmode= instead of ssl="),
        ("postgresql://h/d?sslrootcert=/r.pem", "sslrootcert needs sslmode=verify-full"),
        ("postgresql://h/d?sslmode=require&sslkey=/k.pem", "sslkey needs sslcert"),
        ("postgresql://h/d?channel_binding=require", "channel_binding=require needs sslmode"),
        ("postgresql://h/d?channel_binding=yes", "channel_binding must be one of"),
        ("postgresql://h/d?gssencmode=require", "gssencmode must be one of disable and prefer"),
        ("postgresql://h/d?target_session_attrs=standby", "one of any, primary and read-write"),
        ("postgresql://h/d?connect_timeout=soon", "connect_timeout must be a number of seconds"),
        (
            "postgresql://h/d?connection_limit=1",
            "Ibid does not support connection_limit: remove it",
        ),
        ("postgresql://h/d?sslmod=require", "an unknown parameter: did you mean sslmode?"),
        (
            "postgresql://h/d?one=1",
            "an unknown parameter: use one of application_name",
        ),
        ("postgresql://h/d?sslmode=require&sslmode=disable", "sslmode is given twice"),
        ("postgresql://h/d?statement_cache_size=100", "statement_cache_size must be 0"),
        ("postgresql://h/d?options=search_path", "options may contain only settings"),
        ("postgresql://h/d?options=-c", "options may contain only settings"),
        ("postgresql://h/d?options=-csearch_path=", "search_path contains no schema"),
        ("postgresql://h/d?schema=a&options=-csearch_path=b", "schema and search_path differ"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(address: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)) as raised:
        parse_postgres_url(address)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgresql://u:p@ep-a-pooler.eu.neon.tech/d", "which loses locks"),
        ("postgresql://h/d?pgbouncer=true", "which loses locks"),
        ("postgresql://h/d?application_name=x", "leave it out"),
        ("sqlite:///jobs.db", "begin it with postgresql://"),
    ],
)
def test_jobs_need_an_address_of_their_own_kind(address: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        libpq.parse_jobs_url(address)


PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "sslmode": st.sampled_from(["disable", "prefer", "require", "verify-full"]),
        "connect_timeout": st.integers(0, 99).map(str),
        "target_session_attrs": st.sampled_from(["any", "primary"]),
        "options": st.sampled_from(["-csearch_path=a", r"-c search_path=\"a\ b\" -c jit=off"]),
        "schema": st.sampled_from(["", "a"]),
        "channel_binding": st.sampled_from(["disable", "prefer"]),
    },
)
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


@given(
    NAMES,
    NAMES,
    NAMES,
    st.lists(
        st.sampled_from(["h", "127.0.0.1", "[::1]", "h:1", "[::1]:99"]), min_size=1, max_size=3
    ),
    PARAMETERS,
)
def test_every_driver_gets_the_same(
    user: str, password: str, database: str, hosts: list[str], parameters: dict[str, str]
) -> None:
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    address = f"postgresql://{login}@{','.join(hosts)}/{quote(database, safe='')}?{query}"
    try:
        url = libpq.parse_jobs_url(address)
    except ValueError as error:
        assert "differ" in str(error)  # noqa: PT017
        return
    ours, bare = build_engine(url, 1).url, libpq.connect_arguments(url)
    assert (ours.username, ours.password, ours.database) == (user, password, database)
    assert (bare["user"], bare["password"], bare["dbname"]) == (user, password, database)
    make_conninfo("", **bare)
    dbos = make_url(libpq.dbos_url(url)).set(drivername="postgresql+psycopg")
    _, taken = dbos.get_dialect()().create_connect_args(dbos)
    assert {name: str(value) for name, value in taken.items()} == bare


TEXTS = st.text("postgresql:/@?#&=%.,[]-cA1 \0é", max_size=30)


@given(
    TEXTS,
    TEXTS,
    st.sampled_from(["postgresql://", "postgres://", "postgresql+asyncpg://", "x://", ""]),
    st.sampled_from(
        ["user:{}@h/d", "{}:pw@h/d", "user:{}@h:1/d?options={}", "h/d?{}", "h/d?password={}", "{}"]
    ),
)
@example("?", "=1", "postgresql://", "user:{}@h/d")
def test_no_address_gives_a_traceback_or_tells_a_password(
    before: str, after: str, scheme: str, shape: str
) -> None:
    address = scheme + shape.replace("{}", before + SECRET + after)
    for parse in (parse_postgres_url, libpq.parse_jobs_url):
        told = ""
        try:
            url = parse(address)
        except ValueError as error:
            told = str(error)
        else:
            told = f"{url.host_and_port} {url!r}" if "user:{}@" in shape else ""
            with suppress(InvalidInput):
                build_engine(url, 1)
        assert SECRET not in told
