"""Parse Postgres URLs in one place, so that every driver treats them the same way."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from urllib.parse import parse_qsl, unquote

from storage.service_urls import INVALID_ADDRESS
from storage.sql.postgres_hosts import Host, parse_hosts

_PARTS = re.compile(
    r"(?P<scheme>[a-z0-9+]+)://(?:(?P<user>[^@/?#:\s]*)(?::(?P<password>[^@/?#\s]*))?@)?"
    r"(?P<hosts>[^@/?#\s]*)(?:/(?P<database>[^@?#\s]*))?(?:\?(?P<query>[^@#]*))?",
    re.IGNORECASE,
)
"""Any other `@`, `?` or `#` belongs to a password that was not percent-encoded."""
_SCHEMES = re.compile(r"(?:postgres|postgresql)(?:\+(?:asyncpg|psycopg|psycopg2))?")
_CHOICES = {
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer"),
    "pgbouncer": ("false", "true"),
    "prepared_statement_cache_size": ("0",),
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "statement_cache_size": ("0",),
    "target_session_attrs": ("any", "primary", "read-write"),
}
"""The allowed values. Some are missing because Ibid writes, and because its statements have no names."""
_FREE_TEXT = (
    *("application_name", "connect_timeout", "host", "options", "password", "port", "schema"),
    *("sslcert", "sslkey", "sslpassword", "sslrootcert", "user"),
)
_KNOWN = (*_CHOICES, *_FREE_TEXT)
_UNSUPPORTED = re.compile(
    r"client_encoding|connection_limit|dbname|fallback_application_name|gssdelegation|gsslib|hostaddr|"
    r"keepalives(?:_count|_idle|_interval)?|krbsrvname|load_balance_hosts|passfile|pool_timeout|"
    r"replication|require_auth|requirepeer|service|servicefile|socket_timeout|sslcertmode|"
    r"sslcompression|sslcrl|sslcrldir|ssl_m(?:ax|in)_protocol_version|sslnegotiation|sslsni|"
    r"tcp_user_timeout"
)
"""Parameters of libpq and of other programs that Ibid does not support.

An error may name them, because they cannot be part of a password.
"""
_ENCRYPTED = ("require", "verify-ca", "verify-full")
_WORD = re.compile(r"(?:\\.|[^\s\\])+")
_SCHEMA = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^\s,"]+))\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class PostgresURL:
    """The address of a database and its connection parameters; user and password are never shown."""

    hosts: tuple[Host, ...]
    database: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """The validated parameters of the URL, such as `sslmode` and the certificate files."""
    options: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Settings for every transaction, such as `search_path`."""

    @property
    def host_and_port(self) -> str:
        """Host and port of each server."""
        return ", ".join(map(str, self.hosts))

    @property
    def schema(self) -> str | None:
        """The schema in which tables are created, if the URL names one."""
        found = _SCHEMA.match(self.options.get("search_path", ""))
        if not found:
            return None
        name = found[1].replace('""', '"') if found[1] else found[2].lower()
        return None if name == "$user" else name

    @property
    def is_pooled(self) -> bool:
        """Whether the URL shows a shared pooler: by the name of Neon's host or Prisma's parameter."""
        return self.parameters.get("pgbouncer") == "true" or self.direct().hosts != self.hosts

    def direct(self) -> "PostgresURL":
        """Return the endpoint behind Neon's pooler: migrations need a session of their own."""
        return replace(self, hosts=tuple(host.direct() for host in self.hosts))


def is_postgres(text: str) -> bool:
    """Return whether the URL is for Postgres, with any driver."""
    return text.lower().startswith("postgres")


def parse_postgres_url(text: str) -> PostgresURL:
    """Parse a URL. Raises `ValueError`, which says what to do and repeats nothing that may be secret."""
    parts = _PARTS.fullmatch(text)
    if not parts or "\0" in unquote(text):
        raise ValueError(INVALID_ADDRESS)
    if not _SCHEMES.fullmatch(parts["scheme"].lower()):
        raise ValueError("begin it with postgresql://, because Ibid chooses the driver")
    try:
        parameters = _parameters_by_name(
            parse_qsl(parts["query"] or "", keep_blank_values=True, errors="strict")
        )
        user, password, database = (
            None if parts[name] is None else unquote(parts[name], errors="strict")
            for name in ("user", "password", "database")
        )
    except UnicodeDecodeError:
        raise ValueError("its percent-encoded characters are not UTF-8") from None
    if not database:
        raise ValueError("name the database at its end, as in postgresql://HOST/DATABASE")
    options = _parse_options(parameters.pop("options", ""))
    schema = parameters.pop("schema", "")
    if schema:
        path = '"' + schema.replace('"', '""') + '"'
        if options.setdefault("search_path", path) not in (path, schema):
            raise ValueError("schema and search_path differ: remove one of them")
    url = PostgresURL(
        hosts=parse_hosts(parts["hosts"], parameters.pop("host", ""), parameters.pop("port", "")),
        database=database,
        user=parameters.pop("user", "") or user or None,
        password=parameters.pop("password", "") or password or None,
        parameters=_check_parameters(parameters),
        options=options,
    )
    if "search_path" in options and not _SCHEMA.match(options["search_path"]):
        raise ValueError("search_path contains no schema")
    return url


def _parameters_by_name(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters by name. An error never repeats an unknown name: it may be part of a password."""
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name == "ssl":
            raise ValueError("write sslmode= instead of ssl=")
        if _UNSUPPORTED.fullmatch(name):
            raise ValueError(f"Ibid does not support {name}: remove it")
        if name not in _KNOWN:
            near = get_close_matches(name, _KNOWN, 1, 0.8)
            hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(sorted(_KNOWN))}"
            raise ValueError(f"it has an unknown parameter: {hint}")
        if name in parameters and name != "host":
            raise ValueError(f"{name} is given twice")
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def _check_parameters(parameters: dict[str, str]) -> dict[str, str]:
    for name, choices in _CHOICES.items():
        if name in parameters:
            parameters[name] = parameters[name].strip().lower()
            if parameters[name] not in choices:
                raise ValueError(f"{name} must be {_one_of(choices)}")
    if not re.fullmatch(r"\d{1,6}", parameters.get("connect_timeout", "0"), re.ASCII):
        raise ValueError("connect_timeout must be a number of seconds")
    if parameters.get("sslmode", "prefer") not in _ENCRYPTED:
        for name in ("sslcert", "sslkey", "sslpassword", "sslrootcert"):
            if parameters.get(name):
                raise ValueError(f"{name} needs sslmode=verify-full, or require")
        if parameters.get("channel_binding") == "require":
            raise ValueError("channel_binding=require needs sslmode=require")
    if parameters.get("sslkey") and not parameters.get("sslcert"):
        raise ValueError("sslkey needs sslcert, the certificate that it belongs to")
    return {name: value for name, value in parameters.items() if value}


def _parse_options(text: str) -> dict[str, str]:
    """Parse options as Postgres does: `-c NAME=VALUE`, `-cNAME=VALUE` and `--NAME=VALUE`."""
    words = [re.sub(r"\\(.)", r"\1", word) for word in _WORD.findall(text)]
    options: dict[str, str] = {}
    while words:
        word = words.pop(0)
        pair = (words.pop(0) if words else "") if word == "-c" else word[2:]
        name, is_pair, value = pair.partition("=")
        name = name.lower().replace("-", "_")
        if word[:2] not in ("-c", "--") or not is_pair or not re.fullmatch(r"[a-z_][\w.]*", name):
            raise ValueError(
                "options may contain only settings, such as options=-csearch_path=NAME"
            )
        options[name] = value
    return options


def _one_of(choices: tuple[str, ...]) -> str:
    *others, last = choices
    return f"one of {', '.join(others)} and {last}" if others else last
