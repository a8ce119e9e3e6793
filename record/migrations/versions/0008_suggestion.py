"""Suggested causes of dust episodes.

Revision ID: 0.1.11
Revises: 0.1.10
"""

import sqlalchemy as sa
from alembic import op

revision = "0.1.11"
down_revision = "0.1.10"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "suggestion",
        sa.Column("exceedance", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=True),
        sa.Column("share", sa.Float(), nullable=True),
        sa.Column("serial", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("exceedance"),
    )
    op.create_index("ix_suggestion_serial", "suggestion", ["serial"])
