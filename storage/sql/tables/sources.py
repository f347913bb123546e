"""Sources, and the texts of their versions."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid5

from sqlalchemy import Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from storage.domain import Edition, Metadata, SourceVersion
from storage.sql.tables.columns import AnyJSON, now, value_json

_NAMESPACE = UUID("7c1f3a52-6f0e-5d0b-9f60-1d9a4c1b8e02")
_LIVE = text("version > 0 and removed_at is null")


class Source(SQLModel, table=True):
    """A page or file that a user added. A source has versions; one of them is live."""

    __tablename__: ClassVar[Any] = "sources"
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
        default=None, exclude=True, sa_type=value_json(SourceVersion)
    )
    """Set before the first passage of a new version is written, cleared once it is live."""
    newest: int = Field(default=1, exclude=True)
    """The highest version ever begun. Numbers are not reused, so a passage id always means one text."""
    ingested_at: datetime = Field(default_factory=now)
    removed_at: datetime | None = None
    """Set when the source has disappeared from its folder; the row stays for old footnotes."""

    @staticmethod
    def make_id(corpus_id: UUID, location: str) -> UUID:
        """Return the id of a file in a corpus; it is the same in every run."""
        return uuid5(_NAMESPACE, f"{corpus_id}\n{location}")

    @property
    def is_live(self) -> bool:
        """Whether a search can find the source."""
        return self.version > 0 and self.removed_at is None

    def remove(self) -> None:
        """Mark the source as removed, after its passages were removed from the index."""
        self.staged, self.digest, self.removed_at = None, None, now()

    def publish(self, live: SourceVersion) -> None:
        """Make this version the live one; searches find its passages now."""
        self.apply_version(live)
        self.staged = None
        self.ingested_at = now()

    def apply_version(self, live: SourceVersion) -> None:
        """Copy what another release holds of this source."""
        for name, value in live:
            setattr(self, name, value)
        edition = Edition(corpus=self.corpus, version=self.docs_version, locale=self.locale)
        self.edition, self.removed_at = edition.key, None

    def to_version(self) -> SourceVersion:
        """Return the live version as a manifest stores it."""
        live = {name: getattr(self, name) for name in SourceVersion.model_fields}
        return SourceVersion.model_validate(live | {"digest": self.digest or ""})


class SourceText(SQLModel, table=True):
    """The canonical text of one version, stored while that version is live or cited."""

    __tablename__: ClassVar[Any] = "source_texts"

    source_id: UUID = Field(foreign_key="sources.id", primary_key=True, ondelete="CASCADE")
    version: int = Field(primary_key=True)
    title: str
    url: str
    text: str = Field(sa_type=Text)
    details: Metadata = Field(default_factory=dict, sa_type=AnyJSON)
