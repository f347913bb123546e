"""A corpus says by how much a peer-reviewed source is preferred among equals."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "corpora",
        sa.Column("peer_review_weight", sa.Float(), nullable=False, server_default="0"),
    )


def downgrade() -> None:
    op.drop_column("corpora", "peer_review_weight")
