"""What waits for receivers, and how far the record has been followed, in the tables of all who follow the record.

Revision ID: 0.1.2
Revises: 0.1.1
"""

import sqlalchemy as sa
from alembic import op

revision = "0.1.2"
down_revision = "0.1.1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("receiver", sa.String(length=60), nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("message", sa.String(length=36)),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("receiver", "key"),
    )
    op.create_index("ix_entry_waiting", "entry", ["receiver", "done", "due"])
    op.create_index("ix_entry_message", "entry", ["message"])
    op.execute(
        "INSERT INTO entry (id, receiver, key, made, due, changes, data, message, done) "
        "SELECT n.id, n.subscription, CASE n.kind WHEN 'test' THEN 'test/' ELSE '' END || n.id, n.made, n.due, "
        "0, n.data, n.message, coalesce(m.state, 'waiting') <> 'waiting' FROM notice n LEFT JOIN message m ON m.id = n.message"
    )
    op.drop_table("notice")
    op.rename_table("cursor", "followed")
    op.create_table(
        "cursor",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("positions", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.execute(
        "INSERT INTO cursor (name, positions) SELECT 'notifier', json_object('exceedance', serial, 'health', serial, "
        "'statistic', serial, 'mark_request', serial, 'registry_change', serial) FROM followed"
    )
    op.drop_table("followed")
