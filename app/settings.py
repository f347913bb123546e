"""What can be set, by environment variable or in `.env`, under the vendors' own names."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every default works on one machine, with no key and no server."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", use_attribute_docstrings=True
    )

    ibid_home: Path = Path(".ibid")
    """Where Ibid keeps its database and its embedded index."""

    database_url: str | None = None
    """SQL database; by default a SQLite file in `IBID_HOME`."""

    qdrant_url: str | None = None
    """A Qdrant server; by default the engine is embedded and keeps its files in `IBID_HOME`."""

    qdrant_api_key: SecretStr | None = None
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

    jobs_database_url: str | None = None
    """A Postgres that workers on several machines share; by default a SQLite file in `IBID_HOME`.

    It is polled all the time: give it no database that should sleep, and no pooled address.
    """

    blob_url: str | None = None
    """Where uploaded files are kept, as fsspec names it; by default a folder in `IBID_HOME`."""

    upload_limit: int = 100_000_000
    """Bytes that one upload may have."""

    strictness: float = Field(default=0.5, ge=0, le=1)
    """How near a passage must come to a question before it is answered, from 0 to 1."""

    verify: Literal["off", "mark", "strict"] = "mark"
    """Whether claims get verdicts; `strict` also withholds those that nothing supports."""

    verifier: Literal["local", "llm"] = "local"
    """What judges claims: their words, numbers and names, or the language model."""

    allowed_hosts: str = "127.0.0.1,localhost,[::1]"
    """Names a browser may address the server by, separated by commas; `*` for any.

    Without sign-in this is what keeps another site's page from talking to a server on this machine.
    """

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged to standard error."""

    @property
    def hosts(self) -> list[str] | None:
        """`ALLOWED_HOSTS` as a list; None when any name will do."""
        names = [name.strip() for name in self.allowed_hosts.split(",")]
        return None if "*" in names else names

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
