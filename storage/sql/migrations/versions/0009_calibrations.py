"""A corpus keeps what was measured of it in each release, to tell which questions it answers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

any_json = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("corpora", sa.Column("calibrations", any_json))


def downgrade() -> None:
    op.drop_column("corpora", "calibrations")
