"""What can be set, by environment variable or in `.env`, under the vendors' own names."""

from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.addresses import parse_origin
from app.setting_types import (
    ALGORITHMS,
    Algorithms,
    CountStore,
    DatabaseAddress,
    HeaderText,
    JobsAddress,
    Key,
    KeyedAddress,
    Keys,
    Networks,
    PageAddress,
    PublicAddress,
    QdrantAddress,
    TableName,
    WebAddress,
    listed,
)
from storage.addresses import without_secrets
from storage.http.networks import Network, parse_networks


class Settings(BaseSettings):
    """Every default works on one machine, with no key and no server."""

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        hide_input_in_errors=True,  # it may be a key, or an address with a password
        str_strip_whitespace=True,  # a secret that is mounted as a file often ends with a line break
        use_attribute_docstrings=True,
    )

    ibid_home: Path = Path(".ibid")
    """Where Ibid keeps its database and its embedded index."""

    database_url: DatabaseAddress | None = None
    """SQL database, on Postgres as Neon prints it; by default a SQLite file in `IBID_HOME`."""

    database_direct_url: DatabaseAddress | None = None
    """Postgres without its pooler, for migrations; Neon's is derived from `DATABASE_URL`."""

    database_patience: float = Field(default=15, gt=0, le=300)
    """Seconds that a database which sleeps, or has no connection free, is waited for."""

    qdrant_url: QdrantAddress | None = None
    """A Qdrant server; by default the engine is embedded and keeps its files in `IBID_HOME`."""

    qdrant_api_key: Key | None = None
    """Key of the Qdrant server, if it wants one."""

    vectors_on_disk: bool = False
    """Keep original vectors on disk instead of in memory."""

    vectors_int8: bool = False
    """Keep an int8 copy of the vectors in memory and search that first: a quarter of the memory."""

    releases_kept: int = Field(default=2, ge=1)
    """How many releases are kept, with the one that serves: what `ibid rollback` can go back to."""

    gate_margin: float = Field(default=0.02, ge=0, le=1)
    """By how much recall@10 on a corpus's golden set may fall before a new release is refused."""

    embedding: Literal["local", "cohere"] = "local"
    """What turns text into vectors in the next release; `cohere` needs `COHERE_API_KEY`."""

    cohere_api_key: Key | None = None
    """Key for Cohere's embeddings and rerankers."""

    cohere_base_url: KeyedAddress = "https://api.cohere.com"
    """Another address for Cohere's API: a proxy, or a stand-in."""

    cohere_embed_model: str = "embed-multilingual-v3.0"
    """Which of Cohere's embedding models."""

    cohere_embed_dimension: int | None = None
    """Length of the vectors, where the model leaves a choice; by default its longest."""

    cohere_rerank_model: str | None = None
    """Which of Cohere's rerankers orders what was found; by default none does."""

    cohere_inputs_per_minute: Annotated[int, Field(gt=0)] = 2_000
    """Texts that Cohere may be sent in a minute; more wait."""

    cohere_reranks_per_minute: Annotated[int, Field(gt=0)] = 1_000
    """Rankings that Cohere may be asked for in a minute, 10 with a trial key; more are skipped."""

    cohere_calls_per_month: Annotated[int, Field(gt=0)] | None = None
    """Calls that Cohere may get in a month, 1000 with a trial key; by default any number."""

    llm: Literal["extractive", "openrouter"] | None = None
    """What writes answers; by default hosted models when a key or `LLM_FALLBACKS` names any."""

    openrouter_api_key: Key | None = None
    """Key for OpenRouter's models."""

    openrouter_base_url: KeyedAddress = "https://openrouter.ai/api/v1"
    """Another address for OpenRouter's API: a proxy, or a stand-in."""

    openrouter_models: str = "openrouter/auto"
    """Models in order of preference, separated by commas."""

    openrouter_app_url: PageAddress | None = None
    """The site that OpenRouter is told of; by default `PUBLIC_URL`, and none without it."""

    openrouter_app_title: HeaderText = "Ibid"
    """What OpenRouter calls the application; told only with a site."""

    jobs_database_url: JobsAddress | None = None
    """A Postgres that workers on several machines share; by default a SQLite file in `IBID_HOME`.

    It is polled all the time: give it no database that should sleep, and no pooled address.
    """

    blob_url: str | None = None
    """Where uploaded files are kept, as fsspec names it; by default a folder in `IBID_HOME`."""

    upload_limit: int = Field(default=100_000_000, ge=1)
    """Bytes that one upload may have."""

    upload_unpacked_limit: int = Field(default=500_000_000, ge=1)
    """Bytes that the files of one upload may have together, once its archives are unpacked."""

    upload_files_limit: int = Field(default=10_000, ge=1)
    """Files that one upload may have, those in its archives counted."""

    upload_passages_limit: int = Field(default=20_000, ge=0)
    """Passages that one upload may make; for admins, and without sign-in, only when it is set."""

    daily_upload_bytes_per_user: int = Field(default=2_000_000_000, ge=0)
    """Bytes that one user or key may upload in a day of UTC, unpacked; for admins as above."""

    daily_upload_passages_per_user: int = Field(default=200_000, ge=0)
    """Passages that one user's or key's uploads may make in a day of UTC; for admins as above."""

    strictness: float = Field(default=0.5, ge=0, le=1)
    """How near a passage must come to a question before it is answered, from 0 to 1."""

    verify: Literal["off", "mark", "strict"] = "mark"
    """Whether claims get verdicts; `strict` also withholds those that nothing supports."""

    verifier: Literal["local", "llm"] = "local"
    """What judges claims: their words, numbers and names, or the language model."""
    openrouter_provider: dict[str, Any] = {}
    """OpenRouter's routing options, as JSON: `order`, `only`, `data_collection`, `zdr`, `max_price`."""

    llm_fallbacks: str = ""
    """Further models, asked when all of OpenRouter's fail: `MODEL@BASE_URL`, separated by commas.

    Any server that speaks OpenAI's protocol will do, such as Ollama, vLLM and llama.cpp. Without a key
    for OpenRouter the first of them is the model.
    """

    llm_fallback_api_key: Key | None = None
    """Key of the server in `LLM_FALLBACKS`, if it is one and wants one."""

    llm_fallback_api_keys: Keys | None = None
    """Keys of several servers in `LLM_FALLBACKS`: `HOST=KEY` or `HOST:PORT=KEY`, separated by commas."""

    llm_last_resort: Literal["extractive"] | None = None
    """What answers when no model can; by default the turn fails."""

    llm_max_tokens: Annotated[int, Field(gt=0)] = 1_024
    """Longest answer, in tokens."""

    llm_first_token_seconds: Annotated[float, Field(gt=0)] = 30.0
    """How long a model may be silent before and within its answer, until the next one is asked."""

    llm_answer_seconds: Annotated[float, Field(gt=0)] = 120.0
    """How long all models together may take for an answer."""

    daily_budget: Annotated[float, Field(ge=0)] | None = None
    """US dollars that all users together may spend on models in a day; by default any sum."""

    monthly_budget: Annotated[float, Field(ge=0)] | None = None
    """The same for a month; days and months are those of UTC."""

    daily_budget_per_user: Annotated[float, Field(ge=0)] | None = None
    """US dollars that one user may spend on models in a day; by default any sum."""

    auth: Literal["off", "jwt"] = "off"
    """Who may come in: anyone on this machine, or whoever bears a token or an API key."""

    auth_jwks_url: WebAddress | None = None
    """Where the issuer of tokens publishes its keys."""

    auth_issuer: str | None = None
    """What a token must say in `iss`, to the letter."""

    auth_audience: str | None = None
    """What a token must say in `aud`: that it is meant for Ibid."""

    auth_authorized_parties: str = ""
    """Applications, one of which a token must name in `azp` or `client_id`, separated by commas."""

    auth_algorithms: Algorithms | None = None
    """How tokens may be signed, separated by commas; by default as the issuer's public keys say."""

    auth_groups_claim: str = "groups"
    """Where a token names groups: a claim, or a path such as `app_metadata.groups`."""

    auth_roles_claim: str | None = None
    """Where a token names roles, in the same way; by default tokens give no role."""

    auth_admin_roles: str = ""
    """Names in `AUTH_ROLES_CLAIM` that make an admin, separated by commas."""

    auth_editor_roles: str = ""
    """Names in `AUTH_ROLES_CLAIM` that make an editor, separated by commas."""

    auth_sessions: TableName | None = None
    """The issuer's table of sessions in `DATABASE_URL`; with it, deleting wants an open session."""

    auth_sign_in_url: PageAddress | None = None
    """Where the chat page sends people to sign in; that page sends them back with their token."""

    public_url: PublicAddress | None = None
    """Where the server is reached from outside, with its sub-path if it has one."""

    trusted_proxies: Networks = ""
    """Addresses and networks of proxies whose `X-Forwarded-*` is believed, separated by commas."""

    cors_origins: str = ""
    """Origins of other sites whose pages may call the API, separated by commas."""

    rate_limit: int = Field(default=120, ge=1)
    """Requests that one user or key may make in a minute, when there is sign-in."""

    rate_limit_store: CountStore | None = None
    """Where requests are counted: `file` in `IBID_HOME`, or a Redis; by default in each process."""

    turn_limit: int = Field(default=4, ge=1)
    """Questions that one user or key may have under way in each process, when there is sign-in."""

    stream_limit: int = Field(default=32, ge=1)
    """Streams that one user, key or address may have open at once in each process."""

    sign_in_failures: int = Field(default=30, ge=1)
    """Bad keys and tokens that one address may send in a minute, when there is sign-in."""

    shutdown_seconds: float = Field(default=30, ge=3, le=3600)
    """How long a server that is told to stop may take; answers that are under way get the time."""

    allowed_hosts: str = "127.0.0.1,localhost,[::1]"
    """Names a browser may address the server by, separated by commas; `*` for any.

    Without sign-in this is what keeps another site's page from talking to a server on this machine.
    The name in `PUBLIC_URL` is always one of them.
    """

    allowed_networks: Networks = ""
    """Private networks whose sites may be fetched by their addresses, as CIDRs with commas between."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged to standard error."""

    log_format: Literal["text", "json"] = "text"
    """How log lines are written: for people, or as one JSON object each."""

    access_log: bool = False
    """Whether every request has a line in the log, besides those that failed."""

    @field_validator("*", mode="before")
    @classmethod
    def _words(cls, value: object, info: ValidationInfo) -> object:
        """A word, such as `INFO` or ` True `, is the same in capitals and with blanks around it."""
        field = cls.model_fields[info.field_name or ""]
        return (
            value.strip().lower()
            if isinstance(value, str) and _is_word(field.annotation)
            else value
        )

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str, info: ValidationInfo) -> str:
        origins = listed(value)
        if "*" in origins and info.data.get("auth") == "off":
            raise ValueError("without sign-in (AUTH=jwt), * would let any site's page do anything")
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
        """A variable that is empty, or has blanks alone, is one that is not set."""
        sources = (init_settings, env_settings, dotenv_settings, file_secret_settings)
        for source in sources:
            if isinstance(source, EnvSettingsSource):
                source.env_vars = {k: v for k, v in source.env_vars.items() if v and v.strip()}
        return sources

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Addresses without their secrets, whatever setting they stand in."""
        for name, value in super().__repr_args__():
            is_address = isinstance(value, str) and ("//" in value or "@" in value)
            yield name, without_secrets(value) if is_address else value

    @property
    def hosts(self) -> list[str] | None:
        """`ALLOWED_HOSTS` as a list; None when any name will do, as with sign-in by default."""
        if self.auth != "off" and "allowed_hosts" not in self.model_fields_set:
            return None
        names = listed(self.allowed_hosts)
        if self.public_origin:
            names.append(self.public_origin.partition("://")[2])
        return None if "*" in names else names

    @property
    def algorithms(self) -> list[str]:
        """`AUTHALGORITHMS` as a list; all with a public key when it is not set."""
        return listed(self.auth_algorithms or ",".join(ALGORITHMS))

    @property
    def public_origin(self) -> str | None:
        """Scheme, host and port of `PUBLIC_URL`, as a browser sends them in `Origin`."""
        return self.public_url and "/".join(self.public_url.split("/")[:3])

    @property
    def public_path(self) -> str:
        """The sub-path in `PUBLIC_URL`; empty when there is none."""
        return (self.public_url or "").removeprefix(self.public_origin or "")

    @property
    def proxies(self) -> list[Network]:
        """`TRUSTED_PROXIES` as networks."""
        return list(parse_networks(self.trusted_proxies))

    @property
    def models(self) -> list[str]:
        """`OPENROUTER_MODELS` as a list, each once."""
        names = (name.strip() for name in self.openrouter_models.split(","))
        return [*dict.fromkeys(name for name in names if name)]

    @property
    def database(self) -> str:
        """`DATABASE_URL`, or the SQLite file in `IBID_HOME`."""
        return self.database_url or f"sqlite+aiosqlite:///{(self.ibid_home / 'ibid.db').absolute()}"

    @property
    def blobs(self) -> str:
        """`BLOB_URL`, or the folder in `IBID_HOME`."""
        return self.blob_url or str((self.ibid_home / "blobs").absolute())

    @property
    def golden_folder(self) -> Path:
        """Where the golden sets are that new releases are held to, each under its corpus's name."""
        return (self.ibid_home / "golden").absolute()

    @property
    def index_folder(self) -> Path:
        """Where the embedded engine keeps its files."""
        return (self.ibid_home / "index").absolute()


def _is_word(annotation: Any) -> bool:
    """Whether a setting has one of a few values: those of a `Literal`, or true and false."""
    choices = (
        get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    )
    return any(choice is bool or get_origin(choice) is Literal for choice in choices)
