"""Evidence bundles shared by link, or handed to an evaluator.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "share",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "hash",
            sa.String(length=64),
            nullable=True,
            comment="SHA-256 of the code in the link; null for what is handed to an account",
        ),
        sa.Column(
            "evaluator",
            sa.Integer(),
            sa.ForeignKey("user.id"),
            nullable=True,
            comment="account that it is handed to; null for a link",
        ),
        sa.Column("bundle", sa.BigInteger(), nullable=False, comment="number in the record"),
        sa.Column(
            "digest",
            sa.String(length=64),
            nullable=False,
            comment="SHA-256 of its file: no other file is ever handed out instead",
        ),
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("receiver", sa.String(length=100), nullable=False, comment="for whom, in the words of its maker"),
        sa.Column("author", sa.String(length=140), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.Column("used", sa.BigInteger(), nullable=True, comment="last download"),
        sa.Column("downloads", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        comment="Evidence bundles that are open to somebody who does not see their mine.",
    )
    op.create_index("ix_share_evaluator", "share", ["evaluator"])
    op.create_index("ix_share_bundle", "share", ["bundle"])


def downgrade() -> None:
    op.drop_table("share")
