"""Types for settings, which validate and normalize values."""

import re
from collections.abc import Callable
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, SecretStr

from app.provider_registry import choices
from app.settings.origins import parse_public_url
from storage.http.networks import parse_networks
from storage.index.server.qdrant_url import parse_qdrant_url
from storage.service_urls import check_address
from storage.sql.libpq import parse_jobs_url
from storage.sql.postgres_url import is_postgres, parse_postgres_url

HTTP_SCHEMES = ("http", "https")
ALGORITHMS = (
    "EdDSA",
    "ES256",
    "ES384",
    "ES512",
    "PS256",
    "PS384",
    "PS512",
    "RS256",
    "RS384",
    "RS512",
)
"""Signature algorithms with a public key. A shared secret, as in HS256, must not be published."""


def split_list(text: str) -> list[str]:
    """Split a comma-separated list, and strip whitespace."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _match_pattern(pattern: str, message: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.IGNORECASE):
            raise ValueError(message)
        return value

    return check


def _check_key(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]*", value.get_secret_value()):
        raise ValueError(
            "it contains a blank, a line break or a character that is not allowed in a key"
        )
    return value


def _keys(value: SecretStr) -> SecretStr:
    for pair in split_list(value.get_secret_value()):
        _check_key(SecretStr(pair))
    return value


def _check_web_address(value: str) -> str:
    check_address(value, HTTP_SCHEMES)
    return value


def _check_keyed_address(value: str) -> str:
    check_address(value, HTTP_SCHEMES, has_key=True)
    return value


def _check_database_address(value: str) -> str:
    """Check a Postgres URL. Other URLs are checked when the database is opened."""
    if is_postgres(value):
        parse_postgres_url(value)
    return value


def _check_jobs_address(value: str) -> str:
    parse_jobs_url(value)
    return value


def _normalize_algorithms(value: str) -> str:
    usual = {name.lower(): name for name in ALGORITHMS}
    names = [name.lower() for name in split_list(value)]
    if not names or not usual.keys() >= {*names}:
        raise ValueError(f"choose from {', '.join(ALGORITHMS)}")
    return ",".join(usual[name] for name in names)


def _normalize_networks(value: str) -> str:
    return ",".join(map(str, parse_networks(value)))


def _normalize_rate_limit_store(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if separator and scheme.lower() in ("redis", "rediss"):
        return f"{scheme.lower()}://{rest}"
    if value.lower() == "file":
        return "file"
    raise ValueError("use `file`, or an address that begins with redis:// or rediss://")


Key = Annotated[SecretStr, AfterValidator(_check_key)]
"""An API key, which is sent in a header."""
Keys = Annotated[SecretStr, AfterValidator(_keys)]
"""Several API keys, separated by commas."""
DatabaseAddress = Annotated[str, AfterValidator(_check_database_address)]
JobsAddress = Annotated[str, AfterValidator(_check_jobs_address)]
QdrantAddress = Annotated[str, AfterValidator(parse_qdrant_url)]
WebAddress = Annotated[str, AfterValidator(_check_web_address)]
KeyedAddress = Annotated[str, AfterValidator(_check_keyed_address)]
"""URL of a server that gets a key. It cannot contain a user and a password as well."""
PageAddress = Annotated[
    str,
    AfterValidator(
        _match_pattern(
            r"https?://[!-~]+", "it must begin with https:// or http:// and contain no blank"
        )
    ),
]
PublicAddress = Annotated[str, AfterValidator(parse_public_url)]
HeaderText = Annotated[
    str,
    AfterValidator(
        _match_pattern(r"[ -~]*", "it contains a character that is not allowed in a header")
    ),
]
TableName = Annotated[
    str, AfterValidator(_match_pattern(r"(?:\w+\.)?\w+", "write it as TABLE or SCHEMA.TABLE"))
]
Algorithms = Annotated[str, AfterValidator(_normalize_algorithms)]
Networks = Annotated[str, AfterValidator(_normalize_networks)]
RateLimitStoreAddress = Annotated[str, AfterValidator(_normalize_rate_limit_store)]

if TYPE_CHECKING:
    EmbeddingName = LLMName = VerifierName = str
else:  # a type checker cannot read a `Literal` that is computed
    EmbeddingName = Literal[choices("embedding")]
    LLMName = Literal[choices("llm")]
    VerifierName = Literal[choices("verifier")]


def is_keyword(annotation: Any) -> bool:
    """Return whether a setting takes a keyword: a value of a `Literal`, or true or false."""
    choices = (
        get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    )
    return any(choice is bool or get_origin(choice) is Literal for choice in choices)
