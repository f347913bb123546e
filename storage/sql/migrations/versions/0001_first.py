"""Corpora, sources and their texts; releases; users, conversations, messages."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

any_json = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "corpora",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("base_url", sa.String()),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("access", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
    )
    op.create_table(
        "releases",
        sa.Column("collection", sa.String(), primary_key=True),
        sa.Column("embedding", sa.String(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False, unique=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _belongs_to("user_id", "users.id", index=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False, index=True),
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _belongs_to("corpus", "corpora.name", kind=sa.String(), index=True),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("root", sa.String()),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("digest", sa.String()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("passages", sa.Integer(), nullable=False),
        sa.Column("staged", any_json),
        sa.Column("ingested_at", UTCDateTime(), nullable=False),
        sa.Column("removed_at", UTCDateTime()),
        sa.UniqueConstraint("corpus", "location"),
    )
    op.create_table(
        "messages",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("id", sa.Uuid(), nullable=False, unique=True),
        _belongs_to("conversation_id", "conversations.id", index=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("answer", any_json),
        sa.Column("created_at", UTCDateTime(), nullable=False),
    )
    op.create_table(
        "source_texts",
        _belongs_to("source_id", "sources.id", primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("details", any_json, nullable=False),
    )
    op.create_table(
        "cited_versions",
        _belongs_to("message_id", "messages.id", primary_key=True),
        sa.Column("source_id", sa.Uuid(), primary_key=True, index=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
    )


def downgrade() -> None:
    for table in (
        "cited_versions",
        "source_texts",
        "messages",
        "sources",
        "conversations",
        "users",
        "releases",
        "corpora",
    ):
        op.drop_table(table)


def _belongs_to(
    name: str, target: str, kind: sa.types.TypeEngine[Any] | None = None, **options: Any
) -> sa.Column[Any]:
    reference = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(name, kind or sa.Uuid(), reference, nullable=False, **options)
