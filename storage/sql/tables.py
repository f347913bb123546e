"""The entities: rows with an identity that change over time; the same on SQLite and on Postgres."""

# SQLModel accepts strings as table names and instances as column types, but its annotations do not.
# pyright: reportIncompatibleVariableOverride=false, reportArgumentType=false

from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4, uuid5

from pydantic import BaseModel
from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from storage.domain import (
    Answer,
    Calibration,
    Calibrations,
    Edition,
    Fingerprint,
    Metadata,
    Right,
    Role,
    SourceVersion,
)

# Without `none_as_null`, None is stored as the JSON text `null`, which `is null` does not match.
AnyJSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

_NAMESPACE = UUID("7c1f3a52-6f0e-5d0b-9f60-1d9a4c1b8e02")


class ValueJSON(TypeDecorator[BaseModel]):
    """A column that holds one domain value: JSONB on Postgres, JSON on SQLite."""

    impl = AnyJSON
    cache_ok = True

    def __init__(self, kind: type[BaseModel]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: BaseModel | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Convert the value to JSON-compatible types."""
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> BaseModel | None:  # noqa: ARG002
        """Convert the column back to a validated value."""
        return None if value is None else self.kind.model_validate(value)


def _now() -> datetime:
    return datetime.now(UTC)


class User(SQLModel, table=True):
    """The owner of conversations, created when first seen. `local` is the user of this machine."""

    __tablename__: ClassVar[str] = "users"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = Field(unique=True)
    role: Role = Field(default="reader", sa_type=String)
    created_at: datetime = Field(default_factory=_now)


class ApiKey(SQLModel, table=True):
    """A key with which a server authenticates; only the key's hash is stored, never the key."""

    __tablename__: ClassVar[str] = "api_keys"

    prefix: str = Field(primary_key=True)
    """The first characters of the key: its name when keys are listed or revoked."""
    digest: str = Field(unique=True)
    user_id: UUID = Field(foreign_key="users.id", index=True, ondelete="CASCADE")
    rights: list[Right] = Field(sa_type=AnyJSON)
    created_at: datetime = Field(default_factory=_now)
    expires_at: datetime | None = None
    used_at: datetime | None = None
    """Accurate to the minute."""
    revoked_at: datetime | None = None

    @property
    def is_good(self) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > _now())

    @property
    def is_stale(self) -> bool:
        """Whether the last recorded use is more than a minute ago."""
        return self.used_at is None or _now() - self.used_at > timedelta(minutes=1)

    def use(self) -> None:
        """Record that the key was used just now."""
        self.used_at = _now()

    def revoke(self) -> None:
        """Revoke the key; a key that is already revoked keeps its time."""
        self.revoked_at = self.revoked_at or _now()


class Corpus(SQLModel, table=True):
    """A named set of sources with its own base URL and access rules."""

    __tablename__: ClassVar[str] = "corpora"

    name: str = Field(primary_key=True)
    id: UUID = Field(default_factory=uuid4, index=True, unique=True)
    """Never reused: another corpus that gets the same name later has another id."""
    base_url: str | None = None
    language: str = "en"
    access: str = "public"
    """`public`: everyone with the right to ask; `listed`: admins and those in `corpus_readers`."""
    peer_review_weight: float = 0.0
    """Added to the score of sources with `peer_reviewed` in their metadata; 0 turns this off."""
    calibrations: Calibrations | None = Field(
        default=None, exclude=True, sa_type=ValueJSON(Calibrations)
    )
    """Stored in the corpus's row, so that a question needs no extra query."""
    created_at: datetime = Field(default_factory=_now)

    @property
    def measured(self) -> dict[str, Calibration]:
        """The calibrations of the corpus by release."""
        return self.calibrations.by_release if self.calibrations else {}


class CorpusReader(SQLModel, table=True):
    """A reader of a corpus that is not public: `user:NAME` or `group:NAME`. The row outlives the corpus."""

    __tablename__: ClassVar[str] = "corpus_readers"

    corpus_id: UUID = Field(primary_key=True)
    reader: str = Field(primary_key=True, index=True)


class DeletedCorpus(SQLModel, table=True):
    """The access rule that a corpus had when it was deleted: old answers still quote the corpus."""

    __tablename__: ClassVar[str] = "deleted_corpora"

    id: UUID = Field(primary_key=True)
    name: str = Field(index=True)
    access: str
    deleted_at: datetime = Field(default_factory=_now)


_LIVE = text("version > 0 and removed_at is null")


class Source(SQLModel, table=True):
    """A page or file that a user added. A source has versions; one of them is live."""

    __tablename__: ClassVar[str] = "sources"
    __table_args__ = (
        UniqueConstraint("corpus", "location"),
        Index("ix_sources_edition", "edition", sqlite_where=_LIVE, postgresql_where=_LIVE),
    )

    id: UUID = Field(primary_key=True)
    corpus: str = Field(foreign_key="corpora.name", index=True, ondelete="CASCADE")
    location: str
    """The file's absolute path; it identifies the source in later runs."""
    root: str | None = None
    """The folder that was ingested; None for a file that was ingested by itself."""
    title: str = ""
    url: str = ""
    docs_version: str | None = None
    """The version of the docs; like `locale`, it is set only if the folder's layout gives it."""
    locale: str | None = None
    edition: str = Field(default="", exclude=True)
    """Key of corpus, version and language; indexed, so that listing editions does not read every row."""
    digest: str | None = Field(default=None, exclude=True)
    """Hash of the live version; None makes the source look changed."""
    version: int = 0
    """The live version; 0 before the first is published."""
    passages: int = 0
    staged: SourceVersion | None = Field(
        default=None, exclude=True, sa_type=ValueJSON(SourceVersion)
    )
    """Set before the first passage of a new version is written, cleared once it is live."""
    newest: int = Field(default=1, exclude=True)
    """The highest version ever begun. Numbers are not reused, so a passage id always means one text."""
    ingested_at: datetime = Field(default_factory=_now)
    removed_at: datetime | None = None
    """Set when the source has disappeared from its folder; the row stays for old footnotes."""

    @staticmethod
    def identify(corpus_id: UUID, location: str) -> UUID:
        """Return the id of a file in a corpus; it is the same in every run."""
        return uuid5(_NAMESPACE, f"{corpus_id}\n{location}")

    @property
    def is_live(self) -> bool:
        """Whether a search can find the source."""
        return self.version > 0 and self.removed_at is None

    def remove(self) -> None:
        """Mark the source as removed, after its passages were removed from the index."""
        self.staged, self.digest, self.removed_at = None, None, _now()

    def publish(self, live: SourceVersion) -> None:
        """Make this version the live one; searches find its passages now."""
        self.serve(live)
        self.staged = None
        self.ingested_at = _now()

    def serve(self, live: SourceVersion) -> None:
        """Copy what another release holds of this source."""
        for name, value in live:
            setattr(self, name, value)
        edition = Edition(corpus=self.corpus, version=self.docs_version, locale=self.locale)
        self.edition, self.removed_at = edition.key, None

    def held(self) -> SourceVersion:
        """Return the live version as a manifest stores it."""
        live = {name: getattr(self, name) for name in SourceVersion.model_fields}
        return SourceVersion.model_validate(live | {"digest": self.digest or ""})


class SourceText(SQLModel, table=True):
    """The canonical text of one version, stored while that version is live or cited."""

    __tablename__: ClassVar[str] = "source_texts"

    source_id: UUID = Field(foreign_key="sources.id", primary_key=True, ondelete="CASCADE")
    version: int = Field(primary_key=True)
    title: str
    url: str
    text: str = Field(sa_type=Text)
    details: Metadata = Field(default_factory=dict, sa_type=AnyJSON)


class Release(SQLModel, table=True):
    """A built index and its fingerprint. One release serves, and the last few are kept."""

    __tablename__: ClassVar[str] = "releases"

    collection: str = Field(primary_key=True)
    fingerprint: Fingerprint = Field(sa_type=ValueJSON(Fingerprint))
    state: str = "building"
    """`building`, `serving` or `kept`. The engine's alias decides which release serves; this follows it."""
    created_at: datetime = Field(default_factory=_now)


class ManifestEntry(SQLModel, table=True):
    """A source in the manifest of a release that does not serve.

    The manifest of the serving release is the `sources` table.
    """

    __tablename__: ClassVar[str] = "holdings"

    collection: str = Field(foreign_key="releases.collection", primary_key=True, ondelete="CASCADE")
    source_id: UUID = Field(
        foreign_key="sources.id", primary_key=True, index=True, ondelete="CASCADE"
    )
    version: int
    """The version in `held`, in a column that SQL can join on."""
    held: SourceVersion = Field(sa_type=ValueJSON(SourceVersion))


class Spending(SQLModel, table=True):
    """The cost of one user's questions on one day (UTC) with one model."""

    __tablename__: ClassVar[str] = "spending"

    user_id: UUID = Field(foreign_key="users.id", primary_key=True, ondelete="CASCADE")
    day: date = Field(primary_key=True, index=True)
    model: str = Field(primary_key=True)
    calls: int = 0
    prompt_tokens: int = Field(default=0, sa_type=BigInteger)
    completion_tokens: int = Field(default=0, sa_type=BigInteger)
    cost: float = 0.0
    """In US dollars, as far as the model's server reported it."""


class UploadUsage(SQLModel, table=True):
    """The uploads of one user on one day (UTC)."""

    __tablename__: ClassVar[str] = "upload_usage"

    user_id: UUID = Field(foreign_key="users.id", primary_key=True, ondelete="CASCADE")
    day: date = Field(primary_key=True)
    bytes: int = Field(default=0, sa_type=BigInteger)
    """The size of the files after archives are unpacked."""
    passages: int = Field(default=0, sa_type=BigInteger)
    """The number of passages made from the files."""


class Conversation(SQLModel, table=True):
    """A series of questions and answers that build on each other, owned by one user."""

    __tablename__: ClassVar[str] = "conversations"

    __table_args__ = (Index("ix_conversations_user_id_updated_at", "user_id", "updated_at"),)

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    title: str = ""
    active_id: UUID | None = None
    """The last message of the branch that is shown and continued."""
    created_at: datetime = Field(default_factory=_now)
    updated_at: datetime = Field(default_factory=_now)


class Message(SQLModel, table=True):
    """A question or an answer; an answer is stored exactly as it was given."""

    __tablename__: ClassVar[str] = "messages"

    seq: int | None = Field(
        default=None,
        primary_key=True,
        sa_type=BigInteger().with_variant(Integer(), "sqlite"),
    )
    """The order in which messages were stored; the same for every reader."""
    id: UUID = Field(default_factory=uuid4, unique=True)
    conversation_id: UUID = Field(foreign_key="conversations.id", index=True, ondelete="CASCADE")
    parent_id: UUID | None = None
    """The previous message on its branch: messages form a tree."""
    role: str
    text: str = Field(sa_type=Text)
    answer: Answer | None = Field(default=None, sa_type=ValueJSON(Answer))
    created_at: datetime = Field(default_factory=_now)

    @classmethod
    def question(
        cls, conversation_id: UUID, text: str, after: UUID | None = None, key: UUID | None = None
    ) -> "Message":
        """Return a message with the user's question."""
        return cls(
            id=key or uuid4(),
            conversation_id=conversation_id,
            parent_id=after,
            role="user",
            text=text,
        )

    @classmethod
    def reply(cls, answer: Answer, question: UUID | None = None) -> "Message":
        """Return a message with a snapshot of the answer."""
        return cls(
            id=answer.message_id,
            conversation_id=answer.conversation_id,
            parent_id=question,
            role="assistant",
            text=answer.text,
            answer=answer,
        )

    def showing(self, answer: Answer) -> "Message":
        """Return a copy with another answer; the copy belongs to no session."""
        fields = self.model_dump(exclude={"text", "answer"})
        return Message(**fields, text=answer.text, answer=answer)


class Feedback(SQLModel, table=True):
    """A user's rating of an answer, or of one of its claims."""

    __tablename__: ClassVar[str] = "feedback"

    message_id: UUID = Field(foreign_key="messages.id", primary_key=True, ondelete="CASCADE")
    claim: int = Field(primary_key=True)
    """The index of the claim in the answer, from 0; `WHOLE` for the whole answer."""
    rating: str
    reason: str = Field(default="", sa_type=Text)
    created_at: datetime = Field(default_factory=_now)


WHOLE = -1


class CitedVersion(SQLModel, table=True):
    """A version of a source that a message cites; its text is kept as long as this row exists."""

    __tablename__: ClassVar[str] = "cited_versions"

    message_id: UUID = Field(foreign_key="messages.id", primary_key=True, ondelete="CASCADE")
    source_id: UUID = Field(primary_key=True, index=True)
    version: int = Field(primary_key=True)


class MessageSource(SQLModel, table=True):
    """A source, and its corpus, that was available when an answer was written, cited or not."""

    __tablename__: ClassVar[str] = "message_sources"

    message_id: UUID = Field(foreign_key="messages.id", primary_key=True, ondelete="CASCADE")
    source_id: UUID = Field(primary_key=True)
    corpus_id: UUID
