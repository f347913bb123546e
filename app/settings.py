"""What can be set, by environment variable or in `.env`, under the vendors' own names."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_ALGORITHMS = (
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
"""Those whose public key can be published: a shared secret in that place would be one."""


class Settings(BaseSettings):
    """Every default works on one machine, with no key and no server."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", use_attribute_docstrings=True
    )

    ibid_home: Path = Path(".ibid")
    """Where Ibid keeps its database and its embedded index."""

    database_url: str | None = None
    """SQL database, on Postgres as Neon prints it; by default a SQLite file in `IBID_HOME`."""

    database_direct_url: str | None = None
    """Postgres without its pooler, for migrations; Neon's is derived from `DATABASE_URL`."""

    database_patience: float = Field(default=15, gt=0, le=300)
    """Seconds that a database which sleeps, or has no connection free, is waited for."""

    qdrant_url: str | None = None
    """A Qdrant server; by default the engine is embedded and keeps its files in `IBID_HOME`."""

    qdrant_api_key: SecretStr | None = None
    """Key of the Qdrant server, if it wants one."""

    vectors_on_disk: bool = False
    """Keep original vectors on disk instead of in memory."""

    vectors_int8: bool = False
    """Keep an int8 copy of the vectors in memory and search that first: a quarter of the memory."""

    embedding: Literal["local", "cohere"] = "local"
    """What turns text into vectors; `cohere` needs `COHERE_API_KEY`."""

    cohere_api_key: SecretStr | None = None
    """Key for Cohere's embeddings."""

    cohere_base_url: str | None = None
    """Another address for Cohere's API: a proxy, or a stand-in."""

    cohere_embed_model: str = "embed-multilingual-v3.0"
    """Which of Cohere's embedding models."""

    llm: Literal["extractive", "openrouter"] | None = None
    """What writes answers; by default `openrouter` when its key is set, else `extractive`."""

    openrouter_api_key: SecretStr | None = None
    """Key for OpenRouter's models."""

    openrouter_base_url: str = "https://openrouter.ai/api/v1"
    """Another address for OpenRouter's API: a proxy, or a stand-in."""

    openrouter_models: str = "openrouter/auto"
    """Models in order of preference, separated by commas."""

    auth: Literal["off", "jwt"] = "off"
    """Who may come in: anyone on this machine, or whoever bears a token or an API key."""

    auth_jwks_url: str | None = None
    """Where the issuer of tokens publishes its keys."""

    auth_issuer: str | None = None
    """What a token must say in `iss`, to the letter."""

    auth_audience: str | None = None
    """What a token must say in `aud`: that it is meant for Ibid."""

    auth_algorithms: str = "EdDSA"
    """How tokens may be signed, separated by commas; never one with a shared secret."""

    auth_sessions: str | None = None
    """The issuer's table of sessions in `DATABASE_URL`; with it, deleting wants an open session."""

    cors_origins: str = ""
    """Origins of other sites whose pages may call the API, separated by commas."""

    rate_limit: int = Field(default=120, ge=1)
    """Requests that one user or key may make in a minute, when there is sign-in."""

    turn_limit: int = Field(default=4, ge=1)
    """Questions that one user or key may have under way at once, when there is sign-in."""

    allowed_hosts: str = "127.0.0.1,localhost,[::1]"
    """Names a browser may address the server by, separated by commas; `*` for any.

    Without sign-in this is what keeps another site's page from talking to a server on this machine.
    """

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged to standard error."""

    @field_validator("auth_algorithms")
    @classmethod
    def _asymmetric(cls, value: str) -> str:
        wrong = [name for name in listed(value) if name not in _ALGORITHMS]
        if wrong or not listed(value):
            raise ValueError(f"choose from {', '.join(_ALGORITHMS)}")
        return value

    @field_validator("auth_sessions")
    @classmethod
    def _table(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"(?:\w+\.)?\w+", value):
            raise ValueError("name it as TABLE or SCHEMA.TABLE")
        return value

    @property
    def hosts(self) -> list[str] | None:
        """`ALLOWED_HOSTS` as a list; None when any name will do, as with sign-in by default."""
        if self.auth != "off" and "allowed_hosts" not in self.model_fields_set:
            return None
        names = listed(self.allowed_hosts)
        return None if "*" in names else names

    @property
    def database(self) -> str:
        """`DATABASE_URL`, or the SQLite file in `IBID_HOME`."""
        return self.database_url or f"sqlite+aiosqlite:///{(self.ibid_home / 'ibid.db').absolute()}"

    @property
    def index_folder(self) -> Path:
        """Where the embedded engine keeps its files."""
        return (self.ibid_home / "index").absolute()


def listed(text: str) -> list[str]:
    """What is separated by commas, without the blanks."""
    return [name.strip() for name in text.split(",") if name.strip()]
