"""Sources carry the key of their edition, indexed, so that a search need not look at all of them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_LIVE = sa.text("version > 0 and removed_at is null")
_KEYS = sa.text(
    "update sources set edition = "
    "corpus || :end || coalesce(docs_version, '') || :end || coalesce(locale, '')"
)


def upgrade() -> None:
    op.add_column("sources", sa.Column("edition", sa.String(), nullable=False, server_default=""))
    op.execute(_KEYS.bindparams(sa.bindparam("end", "\n", sa.String())))
    op.create_index(
        "ix_sources_edition", "sources", ["edition"], sqlite_where=_LIVE, postgresql_where=_LIVE
    )


def downgrade() -> None:
    op.drop_index("ix_sources_edition", "sources")
    op.drop_column("sources", "edition")
