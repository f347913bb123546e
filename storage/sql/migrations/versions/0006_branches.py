"""Messages form a tree, of which one branch is shown; answers and claims can be rated.

No foreign keys on the new columns: SQLite could only add them by making the tables anew, and
dropping the old ones would delete all that belongs to them.
"""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BEFORE = """
update messages set parent_id = (
    select earlier.id from messages as earlier
    where earlier.conversation_id = messages.conversation_id and earlier.seq < messages.seq
    order by earlier.seq desc limit 1
)
"""
_LAST = """
update conversations set active_id = (
    select messages.id from messages where messages.conversation_id = conversations.id
    order by messages.seq desc limit 1
)
"""


def upgrade() -> None:
    op.add_column("messages", sa.Column("parent_id", sa.Uuid()))
    op.add_column("conversations", sa.Column("active_id", sa.Uuid()))
    op.execute(_BEFORE)
    op.execute(_LAST)
    op.create_index(
        "ix_conversations_user_id_updated_at", "conversations", ["user_id", "updated_at"]
    )
    op.drop_index("ix_conversations_user_id", "conversations")
    op.drop_index("ix_conversations_updated_at", "conversations")
    op.create_table(
        "feedback",
        sa.Column(
            "message_id",
            sa.Uuid(),
            sa.ForeignKey("messages.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("claim", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("rating", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("feedback")
    op.create_index("ix_conversations_updated_at", "conversations", ["updated_at"])
    op.create_index("ix_conversations_user_id", "conversations", ["user_id"])
    op.drop_index("ix_conversations_user_id_updated_at", "conversations")
    op.drop_column("conversations", "active_id")
    op.drop_column("messages", "parent_id")
