"""Releases with a fingerprint and a manifest; sources remember the highest version they had."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

any_json = sa.JSON().with_variant(JSONB(), "postgresql")
releases = sa.table(
    "releases",
    sa.column("collection", sa.String()),
    sa.column("embedding", sa.String()),
    sa.column("dimension", sa.Integer()),
    sa.column("fingerprint", any_json),
    sa.column("state", sa.String()),
)
sources = sa.table("sources", sa.column("version", sa.Integer()), sa.column("newest", sa.Integer()))


def upgrade() -> None:
    op.add_column("releases", sa.Column("fingerprint", any_json))
    op.add_column("releases", sa.Column("state", sa.String()))
    op.add_column("sources", sa.Column("newest", sa.Integer(), nullable=False, server_default="0"))
    connection = op.get_bind()
    rows = connection.execute(
        sa.select(releases.c.collection, releases.c.embedding, releases.c.dimension)
    ).all()
    for collection, embedding, dimension in rows:
        connection.execute(
            releases.update()
            .where(releases.c.collection == collection)
            .values(fingerprint=_before(embedding, dimension), state="serving")
        )
    connection.execute(sources.update().values(newest=sources.c.version + 1))
    with op.batch_alter_table("releases") as table:
        table.alter_column("fingerprint", existing_type=any_json, nullable=False)
        table.alter_column("state", existing_type=sa.String(), nullable=False)
        table.drop_column("embedding")
        table.drop_column("dimension")
    op.create_table(
        "holdings",
        _belongs_to("collection", "releases.collection", sa.String()),
        _belongs_to("source_id", "sources.id", sa.Uuid(), index=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("held", any_json, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("holdings")
    with op.batch_alter_table("sources") as table:
        table.drop_column("newest")
    with op.batch_alter_table("releases") as table:
        table.add_column(sa.Column("embedding", sa.String(), nullable=False, server_default=""))
        table.add_column(sa.Column("dimension", sa.Integer(), nullable=False, server_default="0"))
        table.drop_column("state")
        table.drop_column("fingerprint")


def _before(embedding: str, dimension: int) -> dict[str, Any]:
    """Of an index built when only its embedding was written down."""
    return {
        "reader": "3",
        "splitter": "1",
        "embedding": embedding,
        "dimension": dimension,
        "fields": "1",
    }


def _belongs_to(
    name: str, target: str, kind: sa.types.TypeEngine[Any], *, index: bool = False
) -> sa.Column[Any]:
    reference = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(name, kind, reference, primary_key=True, index=index)
