"""How far the log has been read.

Revision ID: 0.1.10
Revises: 0.1.9
"""

import sqlalchemy as sa
from alembic import op

revision = "0.1.10"
down_revision = "0.1.9"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "log_position",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partition"),
    )
