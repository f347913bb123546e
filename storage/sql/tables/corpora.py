"""Corpora, and who may read them."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlmodel import Field, SQLModel

from storage.domain import Calibration, Calibrations
from storage.sql.tables.columns import now, value_json


class Corpus(SQLModel, table=True):
    """A named set of sources with its own base URL and access rules."""

    __tablename__: ClassVar[Any] = "corpora"

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
        default=None, exclude=True, sa_type=value_json(Calibrations)
    )
    """Stored in the corpus's row, so that a question needs no extra query."""
    created_at: datetime = Field(default_factory=now)

    @property
    def calibrations_by_release(self) -> dict[str, Calibration]:
        """The calibrations of the corpus by release."""
        return self.calibrations.by_release if self.calibrations else {}


class CorpusReader(SQLModel, table=True):
    """A reader of a corpus that is not public: `user:NAME` or `group:NAME`. The row outlives the corpus."""

    __tablename__: ClassVar[Any] = "corpus_readers"

    corpus_id: UUID = Field(primary_key=True)
    reader: str = Field(primary_key=True, index=True)


class DeletedCorpus(SQLModel, table=True):
    """The access rule that a corpus had when it was deleted: old answers still quote the corpus."""

    __tablename__: ClassVar[Any] = "deleted_corpora"

    id: UUID = Field(primary_key=True)
    name: str = Field(index=True)
    access: str
    deleted_at: datetime = Field(default_factory=now)
