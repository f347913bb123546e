"""The settings, read from environment variables and `.env`. Vendors' settings keep the vendors' names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.settings.origins import parse_origin
from app.settings.types import (
    ALGORITHMS,
    Algorithms,
    DatabaseAddress,
    EmbeddingName,
    HeaderText,
    JobsAddress,
    Key,
    KeyedAddress,
    Keys,
    LLMName,
    Networks,
    PageAddress,
    PublicAddress,
    QdrantAddress,
    RateLimitStoreAddress,
    TableName,
    VerifierName,
    WebAddress,
    is_keyword,
    split_list,
)
from storage.http.networks import Network, parse_networks
from storage.service_urls import without_secrets


class Settings(BaseSettings):
    """The settings of Ibid. The defaults work on one machine, with no API key and no server."""

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        hide_input_in_errors=True,  # the input may be a key, or a URL with a password
        str_strip_whitespace=True,  # a secret mounted as a file often ends with a line break
        use_attribute_docstrings=True,
    )

    ibid_home: Path = Path(".ibid")
    """The folder in which Ibid keeps its database and its embedded index."""

    database_url: DatabaseAddress | None = None
    """URL of the SQL database, e.g. a Postgres URL as Neon shows it. Default: SQLite in `IBID_HOME`."""

    database_direct_url: DatabaseAddress | None = None
    """URL of Postgres without a connection pooler, for migrations. For Neon, derived from `DATABASE_URL`."""

    database_patience: float = Field(default=15, gt=0, le=300)
    """Seconds to wait for a database that is suspended or has no free connection."""

    qdrant_url: QdrantAddress | None = None
    """URL of a Qdrant server. By default the engine is embedded and keeps its files in `IBID_HOME`."""

    qdrant_api_key: Key | None = None
    """API key of the Qdrant server, if it needs one."""

    vectors_on_disk: bool = False
    """Whether the original vectors are kept on disk instead of in memory."""

    vectors_int8: bool = False
    """Whether an int8 copy of the vectors, a quarter of their size, is kept in memory and searched first."""

    releases_kept: int = Field(default=2, ge=1)
    """Number of releases to keep for `ibid rollback`, including the active one."""

    gate_margin: float = Field(default=0.02, ge=0, le=1)
    """A new release is refused if recall@10 on a corpus's golden set drops by more than this."""

    embedding: EmbeddingName = "local"
    """The embedding model of the next release. `cohere` needs `COHERE_API_KEY`."""

    cohere_api_key: Key | None = None
    """API key for Cohere's embeddings and rerankers."""

    cohere_base_url: KeyedAddress = "https://api.cohere.com"
    """Base URL of Cohere's API. Change it to use a proxy or a test double."""

    cohere_embed_model: str = "embed-multilingual-v3.0"
    """Name of the Cohere embedding model."""

    cohere_embed_dimension: int | None = None
    """Dimension of the vectors, for models that offer several. Default: the largest."""

    cohere_rerank_model: str | None = None
    """Name of the Cohere model that reranks search results. By default nothing is reranked."""

    cohere_inputs_per_minute: Annotated[int, Field(gt=0)] = 2_000
    """The maximum number of texts sent to Cohere per minute. Further texts wait."""

    cohere_reranks_per_minute: Annotated[int, Field(gt=0)] = 1_000
    """The maximum number of rerank calls to Cohere per minute (10 with a trial key). More are skipped."""

    cohere_calls_per_month: Annotated[int, Field(gt=0)] | None = None
    """The maximum number of calls to Cohere per month (1000 with a trial key). Default: unlimited."""

    llm: LLMName | None = None
    """The kind of model that writes answers.

    By default hosted models, if `OPENROUTER_API_KEY` or `LLM_FALLBACKS` is set; else `extractive`.
    """

    openrouter_api_key: Key | None = None
    """API key for OpenRouter's models."""

    openrouter_base_url: KeyedAddress = "https://openrouter.ai/api/v1"
    """Base URL of OpenRouter's API. Change it to use a proxy or a test double."""

    openrouter_models: str = "openrouter/auto"
    """OpenRouter models in order of preference, separated by commas."""

    openrouter_app_url: PageAddress | None = None
    """URL of the application that is sent to OpenRouter. Default: `PUBLIC_URL`; without it, none is sent."""

    openrouter_app_title: HeaderText = "Ibid"
    """Name of the application that is sent to OpenRouter. It is sent only together with a URL."""

    jobs_database_url: JobsAddress | None = None
    """URL of a Postgres database that workers on several machines share. Default: SQLite in `IBID_HOME`.

    It is polled constantly. Do not use a database that should suspend, or the URL of a connection pooler.
    """

    blob_url: str | None = None
    """The fsspec URL of the store for uploaded files. Default: a folder in `IBID_HOME`."""

    upload_limit: int = Field(default=100_000_000, ge=1)
    """The maximum size of one upload, in bytes."""

    upload_unpacked_limit: int = Field(default=500_000_000, ge=1)
    """The maximum total size of the files of one upload, in bytes, after archives are unpacked."""

    upload_files_limit: int = Field(default=10_000, ge=1)
    """The maximum number of files in one upload, including the files in its archives."""

    upload_passages_limit: int = Field(default=20_000, ge=0)
    """The maximum number of passages from one upload.

    The default does not apply to admins, nor without sign-in; a value that you set applies to everybody.
    """

    daily_upload_bytes_per_user: int = Field(default=2_000_000_000, ge=0)
    """The maximum number of unpacked bytes that one user or key may upload per UTC day.

    The default does not apply to admins, nor without sign-in; a value that you set applies to everybody.
    """

    daily_upload_passages_per_user: int = Field(default=200_000, ge=0)
    """The maximum number of passages from the uploads of one user or key per UTC day.

    The default does not apply to admins, nor without sign-in; a value that you set applies to everybody.
    """

    strictness: float = Field(default=0.5, ge=0, le=1)
    """How relevant a passage must be before Ibid answers a question, from 0 to 1."""

    verify: Literal["off", "mark", "strict"] = "mark"
    """Whether claims get verdicts. `strict` also withholds claims that no source supports."""

    verifier: VerifierName = "local"
    """What verifies claims: `local` compares words, numbers and names; `llm` asks the language model."""
    openrouter_provider: dict[str, Any] = {}
    """OpenRouter's routing options as JSON: `order`, `only`, `data_collection`, `zdr`, `max_price`."""

    llm_fallbacks: str = ""
    """Models to try when all OpenRouter models fail: `MODEL@BASE_URL`, separated by commas.

    Any server with an OpenAI-compatible API works, such as Ollama, vLLM and llama.cpp. Without
    `OPENROUTER_API_KEY` the first of these models is the primary one.
    """

    llm_fallback_api_key: Key | None = None
    """API key for `LLM_FALLBACKS`, if all of them are on one server and it needs a key."""

    llm_fallback_api_keys: Keys | None = None
    """API keys of the servers in `LLM_FALLBACKS`: `HOST=KEY` or `HOST:PORT=KEY`, separated by commas."""

    llm_last_resort: Literal["extractive"] | None = None
    """The model to use when all others fail. By default the turn fails."""

    llm_max_tokens: Annotated[int, Field(gt=0)] = 1_024
    """The maximum length of an answer, in tokens."""

    llm_first_token_seconds: Annotated[float, Field(gt=0)] = 30.0
    """Seconds that a model may send nothing, before or during its answer, until the next model is tried."""

    llm_answer_seconds: Annotated[float, Field(gt=0)] = 120.0
    """The timeout for an answer, in seconds, over all models that are tried."""

    daily_budget: Annotated[float, Field(ge=0)] | None = None
    """US dollars that all users together may spend on models per UTC day. Default: unlimited."""

    monthly_budget: Annotated[float, Field(ge=0)] | None = None
    """US dollars that all users together may spend on models per UTC month. Default: unlimited."""

    daily_budget_per_user: Annotated[float, Field(ge=0)] | None = None
    """US dollars that one user may spend on models per UTC day. Default: unlimited."""

    auth: Literal["off", "jwt"] = "off"
    """How users sign in: `off` accepts every request, `jwt` requires a token or an API key."""

    auth_jwks_url: WebAddress | None = None
    """URL at which the token issuer publishes its public keys."""

    auth_issuer: str | None = None
    """The exact value that tokens must have in `iss`."""

    auth_audience: str | None = None
    """The value that tokens must have in `aud`; it says that they are meant for Ibid."""

    auth_authorized_parties: str = ""
    """Applications, separated by commas. Tokens must name one of them in `azp` or `client_id`."""

    auth_algorithms: Algorithms | None = None
    """Accepted signature algorithms, separated by commas. Default: those that the issuer's keys declare."""

    auth_groups_claim: str = "groups"
    """The token claim that lists groups: a name, or a path such as `app_metadata.groups`."""

    auth_roles_claim: str | None = None
    """The token claim that lists roles: a name or a path. By default tokens give no role."""

    auth_admin_roles: str = ""
    """Roles in `AUTH_ROLES_CLAIM` that make a user an admin, separated by commas."""

    auth_editor_roles: str = ""
    """Roles in `AUTH_ROLES_CLAIM` that make a user an editor, separated by commas."""

    auth_sessions: TableName | None = None
    """The issuer's table of sessions in `DATABASE_URL`. If it is set, deletions need an open session."""

    auth_sign_in_url: PageAddress | None = None
    """URL of the sign-in page. The chat page sends users there; it sends them back with their token."""

    public_url: PublicAddress | None = None
    """URL of the server as its clients see it, including the sub-path if there is one."""

    trusted_proxies: Networks = ""
    """IP addresses and networks of proxies whose `X-Forwarded-*` headers are trusted, separated by commas."""

    cors_origins: str = ""
    """Origins of other sites whose pages may call the API, separated by commas."""

    rate_limit: int = Field(default=120, ge=1)
    """The maximum number of requests per minute from one user or key. It applies only with sign-in."""

    rate_limit_store: RateLimitStoreAddress | None = None
    """Where requests are counted: `file` (in `IBID_HOME`), or a Redis URL. Default: in each process."""

    turn_limit: int = Field(default=4, ge=1)
    """The maximum number of concurrent questions of one user or key in each process.

    It applies only with sign-in.
    """

    stream_limit: int = Field(default=32, ge=1)
    """The maximum number of open streams of one user, key or IP address in each process."""

    sign_in_failures: int = Field(default=30, ge=1)
    """The maximum number of invalid keys and tokens from one IP address per minute, with sign-in."""

    shutdown_seconds: float = Field(default=30, ge=3, le=3600)
    """The maximum duration of a shutdown, in seconds. Most of it is for answers that are in progress."""

    allowed_hosts: str = "127.0.0.1,localhost,[::1]"
    """Host names that requests may use, separated by commas; `*` for any.

    Without sign-in this setting prevents pages of other sites from calling a server on this machine.
    The host of `PUBLIC_URL` is always allowed.
    """

    allowed_networks: Networks = ""
    """Private networks from which web pages may be fetched, as CIDRs separated by commas."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level of messages that are logged to standard error."""

    log_format: Literal["text", "json"] = "text"
    """The format of log lines: text for people, or one JSON object per line."""

    access_log: bool = False
    """Whether all requests are logged, not only those that failed."""

    @field_validator("*", mode="before")
    @classmethod
    def _normalize_keyword(cls, value: object, info: ValidationInfo) -> object:
        """Strip and lower-case keywords such as `INFO` or ` True `."""
        field = cls.model_fields[info.field_name or ""]
        return (
            value.strip().lower()
            if isinstance(value, str) and is_keyword(field.annotation)
            else value
        )

    @field_validator("cors_origins")
    @classmethod
    def _normalize_origins(cls, value: str, info: ValidationInfo) -> str:
        origins = split_list(value)
        if "*" in origins and info.data.get("auth") == "off":
            raise ValueError(
                "* is not allowed without sign-in (AUTH=jwt), because pages of any site could do anything"
            )
        return ",".join(each if each == "*" else parse_origin(each) for each in origins)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings names them
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Treat a variable that is empty or blank as not set."""
        sources = (init_settings, env_settings, dotenv_settings, file_secret_settings)
        for source in sources:
            if isinstance(source, EnvSettingsSource):
                source.env_vars = {k: v for k, v in source.env_vars.items() if v and v.strip()}
        return sources

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Remove the secrets from addresses in all settings."""
        for name, value in super().__repr_args__():
            is_address = isinstance(value, str) and ("//" in value or "@" in value)
            yield name, without_secrets(value) if is_address else value

    @property
    def hosts(self) -> list[str] | None:
        """`ALLOWED_HOSTS` as a list; None if any name is allowed, which is the default with sign-in."""
        if self.auth != "off" and "allowed_hosts" not in self.model_fields_set:
            return None
        names = split_list(self.allowed_hosts)
        if self.public_origin:
            names.append(self.public_origin.partition("://")[2])
        return None if "*" in names else names

    @property
    def algorithms(self) -> list[str]:
        """`AUTH_ALGORITHMS` as a list; if it is not set, all algorithms with a public key."""
        return split_list(self.auth_algorithms or ",".join(ALGORITHMS))

    @property
    def public_origin(self) -> str | None:
        """Scheme, host and port of `PUBLIC_URL`, as a browser sends them in `Origin`."""
        return self.public_url and "/".join(self.public_url.split("/")[:3])

    @property
    def public_path(self) -> str:
        """The sub-path in `PUBLIC_URL`; empty if there is none."""
        return (self.public_url or "").removeprefix(self.public_origin or "")

    @property
    def proxies(self) -> list[Network]:
        """`TRUSTED_PROXIES` as networks."""
        return list(parse_networks(self.trusted_proxies))

    @property
    def models(self) -> list[str]:
        """`OPENROUTER_MODELS` as a list without duplicates."""
        names = (name.strip() for name in self.openrouter_models.split(","))
        return [*dict.fromkeys(name for name in names if name)]

    @property
    def database(self) -> str:
        """`DATABASE_URL`, or the URL of the SQLite file in `IBID_HOME`."""
        return self.database_url or f"sqlite+aiosqlite:///{(self.ibid_home / 'ibid.db').absolute()}"

    @property
    def blobs(self) -> str:
        """`BLOB_URL`, or the path of the folder in `IBID_HOME`."""
        return self.blob_url or str((self.ibid_home / "blobs").absolute())

    @property
    def golden_folder(self) -> Path:
        """The folder with the golden sets that new releases must pass, one sub-folder per corpus."""
        return (self.ibid_home / "golden").absolute()

    @property
    def index_folder(self) -> Path:
        """The folder in which the embedded engine keeps its files."""
        return (self.ibid_home / "index").absolute()
