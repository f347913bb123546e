"""Sources know which version of the docs they belong to, and in which language they are."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sources", sa.Column("docs_version", sa.String()))
    op.add_column("sources", sa.Column("locale", sa.String()))


def downgrade() -> None:
    op.drop_column("sources", "locale")
    op.drop_column("sources", "docs_version")
