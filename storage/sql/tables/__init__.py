"""The entities: rows with an identity that change over time; the same on SQLite and on Postgres."""

from sqlmodel import SQLModel

from storage.sql.tables.conversations import (
    WHOLE_ANSWER,
    CitedVersion,
    Conversation,
    Feedback,
    Message,
    MessageSource,
)
from storage.sql.tables.corpora import Corpus, CorpusReader, DeletedCorpus
from storage.sql.tables.releases import ManifestEntry, Release
from storage.sql.tables.sources import Source, SourceText
from storage.sql.tables.usage import Spending, UploadUsage
from storage.sql.tables.users import ApiKey, User

__all__ = [
    "SCHEMA",
    "WHOLE_ANSWER",
    "ApiKey",
    "CitedVersion",
    "Conversation",
    "Corpus",
    "CorpusReader",
    "DeletedCorpus",
    "Feedback",
    "ManifestEntry",
    "Message",
    "MessageSource",
    "Release",
    "Source",
    "SourceText",
    "Spending",
    "UploadUsage",
    "User",
]

SCHEMA = SQLModel.metadata
"""All tables, as SQLAlchemy describes them."""
