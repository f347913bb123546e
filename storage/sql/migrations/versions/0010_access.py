"""Corpora have ids, and what a corpus was open to is known after it was deleted.

Which corpora an answer quotes is written down beside it. Of corpora that were deleted before this it
is not known who could see them: what quotes them is for admins alone.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

any_json = sa.JSON().with_variant(JSONB(), "postgresql")
corpora = sa.table("corpora", sa.column("name", sa.String()), sa.column("id", sa.Uuid()))
sources = sa.table("sources", sa.column("id", sa.Uuid()), sa.column("corpus", sa.String()))
messages = sa.table(
    "messages",
    sa.column("seq", sa.BigInteger()),
    sa.column("id", sa.Uuid()),
    sa.column("answer", any_json),
)
_NO_ID = "0" * 32
_BATCH = 500


def upgrade() -> None:
    connection = op.get_bind()
    op.add_column(
        "corpora", sa.Column("id", sa.Uuid(), nullable=False, server_default=sa.text(f"'{_NO_ID}'"))
    )
    ids = {name: uuid4() for name in connection.scalars(sa.select(corpora.c.name))}
    for name, corpus_id in ids.items():
        connection.execute(corpora.update().where(corpora.c.name == name).values(id=corpus_id))
    op.create_index("ix_corpora_id", "corpora", ["id"], unique=True)
    readers = _taken_away("corpus", sa.String(), "corpus_id", ids)
    op.bulk_insert(_create_readers(sa.Column("corpus_id", sa.Uuid(), primary_key=True)), readers)
    deleted = op.create_table(
        "deleted_corpora",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False, index=True),
        sa.Column("access", sa.String(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=False),
    )
    belongs = sa.ForeignKey("messages.id", ondelete="CASCADE")
    message_sources = op.create_table(
        "message_sources",
        sa.Column("message_id", sa.Uuid(), belongs, primary_key=True),
        sa.Column("source_id", sa.Uuid(), primary_key=True),
        sa.Column("corpus_id", sa.Uuid(), nullable=False),
    )
    forgotten, is_any_forgotten = uuid4(), False
    by_source = {key: ids[corpus] for key, corpus in connection.execute(sa.select(sources))}
    for rows in _rows(connection, by_source, forgotten):
        is_any_forgotten |= any(row["corpus_id"] == forgotten for row in rows)
        op.bulk_insert(message_sources, rows)
    if is_any_forgotten:
        row = {"id": forgotten, "name": "", "access": "listed", "deleted_at": datetime.now(UTC)}
        op.bulk_insert(deleted, [row])


def downgrade() -> None:
    op.drop_table("message_sources")
    op.drop_table("deleted_corpora")
    names = {key: name for name, key in op.get_bind().execute(sa.select(corpora))}
    readers = _taken_away("corpus_id", sa.Uuid(), "corpus", names)
    belongs = sa.ForeignKey("corpora.name", ondelete="CASCADE")
    op.bulk_insert(
        _create_readers(sa.Column("corpus", sa.String(), belongs, primary_key=True)), readers
    )
    op.drop_index("ix_corpora_id", "corpora")
    op.drop_column("corpora", "id")


def _taken_away(
    before: str, kind: sa.types.TypeEngine[Any], after: str, renamed: Mapping[Any, Any]
) -> list[dict[str, Any]]:
    """What the table says of corpora that are there, for one that calls them otherwise; it is dropped."""
    held = sa.table("corpus_readers", sa.column(before, kind), sa.column("reader", sa.String()))
    rows = [
        {after: renamed[corpus], "reader": reader}
        for corpus, reader in op.get_bind().execute(sa.select(held))
        if corpus in renamed
    ]
    op.drop_table("corpus_readers")
    return rows


def _create_readers(corpus: sa.Column[Any]) -> sa.Table:
    reader = sa.Column("reader", sa.String(), primary_key=True, index=True)
    return op.create_table("corpus_readers", corpus, reader)


def _rows(
    connection: sa.Connection, by_source: Mapping[UUID, UUID], forgotten: UUID
) -> Iterator[list[dict[str, Any]]]:
    last = 0
    while True:
        found = connection.execute(
            sa.select(messages).where(messages.c.seq > last).order_by(messages.c.seq).limit(_BATCH)
        ).all()
        if not found:
            return
        last = found[-1].seq
        yield [
            {
                "message_id": message.id,
                "source_id": source_id,
                "corpus_id": by_source.get(source_id, forgotten),
            }
            for message in found
            for source_id in _source_ids(message.answer or {})
        ]


def _source_ids(answer: dict[str, Any]) -> set[UUID]:
    abstention: dict[str, Any] = answer.get("abstention") or {}
    told: list[dict[str, str]] = [
        *(citation for claim in answer.get("claims", ()) for citation in claim["citations"]),
        *abstention.get("nearest", ()),
    ]
    sources: list[dict[str, str]] = answer.get("sources", [])
    return {UUID(key) for key in [*(t["source_id"] for t in told), *(s["id"] for s in sources)]}
