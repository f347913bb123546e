"""Conditions on who may see which corpus, including deleted corpora."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, exists, false, or_, select, true, union_all
from sqlmodel import col

from storage.domain import Principal
from storage.sql.tables import Corpus, CorpusReader, DeletedCorpus


def is_visible_to(
    reader: Principal, corpus: type[Corpus] | type[DeletedCorpus] = Corpus
) -> ColumnElement[bool]:
    """Return the condition that the reader may see a corpus."""
    if reader.is_admin:
        return true()
    if not reader.rights:
        return false()
    return is_open_to_any(reader.readers, corpus)


def is_open_to_any(
    readers: Any, corpus: type[Corpus] | type[DeletedCorpus] = Corpus
) -> ColumnElement[bool]:
    """Return the condition that a corpus is public or lists one of the readers."""
    listed = exists().where(
        col(CorpusReader.corpus_id) == col(corpus.id), col(CorpusReader.reader).in_(readers)
    )
    return or_(col(corpus.access) == "public", listed)


def corpora_seen_by(reader: Principal) -> CompoundSelect[UUID]:
    """Select the ids of all corpora that the reader may see, or could see when they were deleted."""
    existing = select(col(Corpus.id)).where(is_visible_to(reader))
    deleted = select(col(DeletedCorpus.id)).where(is_visible_to(reader, DeletedCorpus))
    return union_all(existing, deleted)


def is_listed(corpus: type[Corpus] | type[DeletedCorpus]) -> ColumnElement[bool]:
    """Return the condition that there is a corpus that not everyone may see."""
    return exists().where(col(corpus.access) != "public")
