"""People have roles, servers have keys, and a corpus may be for some readers only."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

any_json = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("users", sa.Column("role", sa.String(), nullable=False, server_default="reader"))
    op.execute("update users set role = 'admin' where name = 'local'")
    op.create_table(
        "api_keys",
        sa.Column("prefix", sa.String(), primary_key=True),
        sa.Column("digest", sa.String(), nullable=False, unique=True),
        sa.Column(
            "user_id",
            sa.Uuid(),
            sa.ForeignKey("users.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("rights", any_json, nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime()),
        sa.Column("used_at", UTCDateTime()),
        sa.Column("revoked_at", UTCDateTime()),
    )
    op.create_table(
        "corpus_readers",
        sa.Column(
            "corpus",
            sa.String(),
            sa.ForeignKey("corpora.name", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("reader", sa.String(), primary_key=True, index=True),
    )


def downgrade() -> None:
    op.drop_table("corpus_readers")
    op.drop_table("api_keys")
    op.drop_column("users", "role")
