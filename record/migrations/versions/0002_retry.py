"""Rejections that are taken in again.

Revision ID: 0.1.5
Revises: 0.1.4
"""

import sqlalchemy as sa
from alembic import op

revision = "0.1.5"
down_revision = "0.1.4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retry",
        sa.Column("rejection", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("done", sa.BigInteger()),
        sa.PrimaryKeyConstraint("rejection"),
    )
    op.create_index("ix_retry_state", "retry", ["state"])
