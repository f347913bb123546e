"""Releases, and the manifest of each: its sources with their versions."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlmodel import Field, SQLModel

from storage.domain import Fingerprint, SourceVersion
from storage.sql.tables.columns import now, value_json


class Release(SQLModel, table=True):
    """A built index and its fingerprint. One release serves, and the last few are kept."""

    __tablename__: ClassVar[Any] = "releases"

    collection: str = Field(primary_key=True)
    fingerprint: Fingerprint = Field(sa_type=value_json(Fingerprint))
    state: str = "building"
    """`building`, `serving` or `kept`. The engine's alias decides which release serves; this follows it."""
    created_at: datetime = Field(default_factory=now)


class ManifestEntry(SQLModel, table=True):
    """A source in the manifest of a release that does not serve.

    The manifest of the serving release is the `sources` table.
    """

    __tablename__: ClassVar[Any] = "holdings"

    collection: str = Field(foreign_key="releases.collection", primary_key=True, ondelete="CASCADE")
    source_id: UUID = Field(
        foreign_key="sources.id", primary_key=True, index=True, ondelete="CASCADE"
    )
    version: int
    """The version in `held`, in a column that SQL can join on."""
    held: SourceVersion = Field(sa_type=value_json(SourceVersion))
