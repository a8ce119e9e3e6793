"""Messages that their device signed.

Revision ID: 0.1.9
Revises: 0.1.8
"""

import sqlalchemy as sa
from alembic import op

revision = "0.1.9"
down_revision = "0.1.8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signed",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("device", sa.String(length=80), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("site", "device", "signature", "start"),
    )
    op.create_index("ix_signed_site_start", "signed", ["site", "start"])
    op.add_column("tree_leaf", sa.Column("signed", sa.BigInteger(), server_default="0", nullable=False))
