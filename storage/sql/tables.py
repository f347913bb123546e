"""The entities: rows with an identity and a life; the same on SQLite and on Postgres."""

# SQLModel takes plain strings as table names and column types as instances; its annotations do not say so.
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

# Without `none_as_null` None is written as the JSON text `null`, which `is null` does not find.
AnyJSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

_NAMESPACE = UUID("7c1f3a52-6f0e-5d0b-9f60-1d9a4c1b8e02")


class ValueJSON(TypeDecorator[BaseModel]):
    """A column that holds one value of the domain: JSONB on Postgres, JSON on SQLite."""

    impl = AnyJSON
    cache_ok = True

    def __init__(self, kind: type[BaseModel]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: BaseModel | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """To what `json` can write."""
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> BaseModel | None:  # noqa: ARG002
        """Back to the value, validated."""
        return None if value is None else self.kind.model_validate(value)


def _now() -> datetime:
    return datetime.now(UTC)


class User(SQLModel, table=True):
    """Who owns conversations; made when first seen. `local` is whoever sits at this machine."""

    __tablename__: ClassVar[str] = "users"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = Field(unique=True)
    role: Role = Field(default="reader", sa_type=String)
    created_at: datetime = Field(default_factory=_now)


class ApiKey(SQLModel, table=True):
    """What a server shows instead of signing in; the key itself is kept nowhere, only its hash."""

    __tablename__: ClassVar[str] = "api_keys"

    prefix: str = Field(primary_key=True)
    """How the key begins: what it is called by when it is listed or revoked."""
    digest: str = Field(unique=True)
    user_id: UUID = Field(foreign_key="users.id", index=True, ondelete="CASCADE")
    rights: list[Right] = Field(sa_type=AnyJSON)
    created_at: datetime = Field(default_factory=_now)
    expires_at: datetime | None = None
    used_at: datetime | None = None
    """To the minute."""
    revoked_at: datetime | None = None

    @property
    def is_good(self) -> bool:
        """Neither revoked nor past its time."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > _now())

    @property
    def is_stale(self) -> bool:
        """Whether its last use was noted longer than a minute ago."""
        return self.used_at is None or _now() - self.used_at > timedelta(minutes=1)

    def use(self) -> None:
        """Note that it was shown just now."""
        self.used_at = _now()

    def revoke(self) -> None:
        """It opens nothing any more."""
        self.revoked_at = self.revoked_at or _now()


class Corpus(SQLModel, table=True):
    """A named set of sources with its own base URL and access."""

    __tablename__: ClassVar[str] = "corpora"

    name: str = Field(primary_key=True)
    id: UUID = Field(default_factory=uuid4, index=True, unique=True)
    """Its own for ever: another corpus that is given the name later has another id."""
    base_url: str | None = None
    language: str = "en"
    access: str = "public"
    """`public`: for all who may ask; `listed`: for those in `corpus_readers`, and admins."""
    peer_review_weight: float = 0.0
    """What a source that says `peer_reviewed` gains in a ranking's score; 0 to not ask for it."""
    calibrations: Calibrations | None = Field(
        default=None, exclude=True, sa_type=ValueJSON(Calibrations)
    )
    """Read with the corpus, so that a question costs no further look."""
    created_at: datetime = Field(default_factory=_now)

    @property
    def measured(self) -> dict[str, Calibration]:
        """Its calibrations, by release."""
        return self.calibrations.by_release if self.calibrations else {}


class CorpusReader(SQLModel, table=True):
    """Who may read a corpus that is not public: `user:NAME` or `group:NAME`. It outlives the corpus."""

    __tablename__: ClassVar[str] = "corpus_readers"

    corpus_id: UUID = Field(primary_key=True)
    reader: str = Field(primary_key=True, index=True)


class DeletedCorpus(SQLModel, table=True):
    """What a corpus was open to when it was deleted: old answers still quote it."""

    __tablename__: ClassVar[str] = "deleted_corpora"

    id: UUID = Field(primary_key=True)
    name: str = Field(index=True)
    access: str
    deleted_at: datetime = Field(default_factory=_now)


_LIVE = text("version > 0 and removed_at is null")


class Source(SQLModel, table=True):
    """What a user gave us: a page, a file. It has versions, one of which is live."""

    __tablename__: ClassVar[str] = "sources"
    __table_args__ = (
        UniqueConstraint("corpus", "location"),
        Index("ix_sources_edition", "edition", sqlite_where=_LIVE, postgresql_where=_LIVE),
    )

    id: UUID = Field(primary_key=True)
    corpus: str = Field(foreign_key="corpora.name", index=True, ondelete="CASCADE")
    location: str
    """The file's absolute path: what makes it the same source the next time."""
    root: str | None = None
    """The folder it was ingested from; None for a file given by itself."""
    title: str = ""
    url: str = ""
    docs_version: str | None = None
    """The version of the docs and the language, where the layout of the folder says so."""
    locale: str | None = None
    edition: str = Field(default="", exclude=True)
    """The key of both and of the corpus, so that those which there are cost no look at every row."""
    digest: str | None = Field(default=None, exclude=True)
    """Of the live version; None makes it look changed."""
    version: int = 0
    """The live version; 0 before the first is published."""
    passages: int = 0
    staged: SourceVersion | None = Field(
        default=None, exclude=True, sa_type=ValueJSON(SourceVersion)
    )
    """Set before the first passage of a new version is written, cleared once it is live."""
    newest: int = Field(default=1, exclude=True)
    """The highest version ever begun: a number is used once, so that a passage id means one text."""
    ingested_at: datetime = Field(default_factory=_now)
    removed_at: datetime | None = None
    """Set when it has gone from its folder; the row stays so that old footnotes still open."""

    @staticmethod
    def identify(corpus_id: UUID, location: str) -> UUID:
        """The same file in the same corpus is the same source on every run."""
        return uuid5(_NAMESPACE, f"{corpus_id}\n{location}")

    @property
    def is_live(self) -> bool:
        """Whether a search can find it."""
        return self.version > 0 and self.removed_at is None

    def remove(self) -> None:
        """Its passages have gone from the index."""
        self.staged, self.digest, self.removed_at = None, None, _now()

    def publish(self, live: SourceVersion) -> None:
        """Its passages are what searches find now."""
        self.serve(live)
        self.staged = None
        self.ingested_at = _now()

    def serve(self, live: SourceVersion) -> None:
        """Take over what another release holds of it."""
        for name, value in live:
            setattr(self, name, value)
        edition = Edition(corpus=self.corpus, version=self.docs_version, locale=self.locale)
        self.edition, self.removed_at = edition.key, None

    def held(self) -> SourceVersion:
        """The live version, as a manifest keeps it."""
        live = {name: getattr(self, name) for name in SourceVersion.model_fields}
        return SourceVersion.model_validate(live | {"digest": self.digest or ""})


class SourceText(SQLModel, table=True):
    """The canonical text of one version, kept while that version is live or cited."""

    __tablename__: ClassVar[str] = "source_texts"

    source_id: UUID = Field(foreign_key="sources.id", primary_key=True, ondelete="CASCADE")
    version: int = Field(primary_key=True)
    title: str
    url: str
    text: str = Field(sa_type=Text)
    details: Metadata = Field(default_factory=dict, sa_type=AnyJSON)


class Release(SQLModel, table=True):
    """One built index and the fingerprint that gives it meaning; one serves, the last few are kept."""

    __tablename__: ClassVar[str] = "releases"

    collection: str = Field(primary_key=True)
    fingerprint: Fingerprint = Field(sa_type=ValueJSON(Fingerprint))
    state: str = "building"
    """`building`, `serving` or `kept`. The engine's alias decides which serves; this follows it."""
    created_at: datetime = Field(default_factory=_now)


class ManifestEntry(SQLModel, table=True):
    """A line of the manifest of a release that does not serve; a serving one's are its sources."""

    __tablename__: ClassVar[str] = "holdings"

    collection: str = Field(foreign_key="releases.collection", primary_key=True, ondelete="CASCADE")
    source_id: UUID = Field(
        foreign_key="sources.id", primary_key=True, index=True, ondelete="CASCADE"
    )
    version: int
    """What `held` says, for SQL to join on."""
    held: SourceVersion = Field(sa_type=ValueJSON(SourceVersion))


class Spending(SQLModel, table=True):
    """What one user's questions cost on one day (of UTC) with one model."""

    __tablename__: ClassVar[str] = "spending"

    user_id: UUID = Field(foreign_key="users.id", primary_key=True, ondelete="CASCADE")
    day: date = Field(primary_key=True, index=True)
    model: str = Field(primary_key=True)
    calls: int = 0
    prompt_tokens: int = Field(default=0, sa_type=BigInteger)
    completion_tokens: int = Field(default=0, sa_type=BigInteger)
    cost: float = 0.0
    """In US dollars, as far as the model's server said."""


class UploadUsage(SQLModel, table=True):
    """What one user uploaded on one day (of UTC)."""

    __tablename__: ClassVar[str] = "upload_usage"

    user_id: UUID = Field(foreign_key="users.id", primary_key=True, ondelete="CASCADE")
    day: date = Field(primary_key=True)
    bytes: int = Field(default=0, sa_type=BigInteger)
    """Of the files, once archives are unpacked."""
    passages: int = Field(default=0, sa_type=BigInteger)
    """That were made of them."""


class Conversation(SQLModel, table=True):
    """Questions and answers that build on one another, owned by one user."""

    __tablename__: ClassVar[str] = "conversations"

    __table_args__ = (Index("ix_conversations_user_id_updated_at", "user_id", "updated_at"),)

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    title: str = ""
    active_id: UUID | None = None
    """The last message of the branch that is shown and goes on."""
    created_at: datetime = Field(default_factory=_now)
    updated_at: datetime = Field(default_factory=_now)


class Message(SQLModel, table=True):
    """A question, or the answer to it; an answer is kept exactly as it was given."""

    __tablename__: ClassVar[str] = "messages"

    seq: int | None = Field(
        default=None,
        primary_key=True,
        sa_type=BigInteger().with_variant(Integer(), "sqlite"),
    )
    """The order in which messages were kept: the same for every reader."""
    id: UUID = Field(default_factory=uuid4, unique=True)
    conversation_id: UUID = Field(foreign_key="conversations.id", index=True, ondelete="CASCADE")
    parent_id: UUID | None = None
    """What was said before it on its branch: messages form a tree."""
    role: str
    text: str = Field(sa_type=Text)
    answer: Answer | None = Field(default=None, sa_type=ValueJSON(Answer))
    created_at: datetime = Field(default_factory=_now)

    @classmethod
    def question(
        cls, conversation_id: UUID, text: str, after: UUID | None = None, key: UUID | None = None
    ) -> "Message":
        """What the user said."""
        return cls(
            id=key or uuid4(),
            conversation_id=conversation_id,
            parent_id=after,
            role="user",
            text=text,
        )

    @classmethod
    def reply(cls, answer: Answer, question: UUID | None = None) -> "Message":
        """What was answered, as a snapshot."""
        return cls(
            id=answer.message_id,
            conversation_id=answer.conversation_id,
            parent_id=question,
            role="assistant",
            text=answer.text,
            answer=answer,
        )

    def showing(self, answer: Answer) -> "Message":
        """A copy with another answer, which no session keeps."""
        fields = self.model_dump(exclude={"text", "answer"})
        return Message(**fields, text=answer.text, answer=answer)


class Feedback(SQLModel, table=True):
    """What a user thinks of an answer, or of one of its claims."""

    __tablename__: ClassVar[str] = "feedback"

    message_id: UUID = Field(foreign_key="messages.id", primary_key=True, ondelete="CASCADE")
    claim: int = Field(primary_key=True)
    """Which of the answer's claims, counted from 0; `WHOLE` for all of it."""
    rating: str
    reason: str = Field(default="", sa_type=Text)
    created_at: datetime = Field(default_factory=_now)


WHOLE = -1


class CitedVersion(SQLModel, table=True):
    """That a message cites a version of a source: the version's text is kept while it does."""

    __tablename__: ClassVar[str] = "cited_versions"

    message_id: UUID = Field(foreign_key="messages.id", primary_key=True, ondelete="CASCADE")
    source_id: UUID = Field(primary_key=True, index=True)
    version: int = Field(primary_key=True)


class MessageSource(SQLModel, table=True):
    """That an answer was written with a source at hand, cited or not, and of which corpus it was."""

    __tablename__: ClassVar[str] = "message_sources"

    message_id: UUID = Field(foreign_key="messages.id", primary_key=True, ondelete="CASCADE")
    source_id: UUID = Field(primary_key=True)
    corpus_id: UUID
