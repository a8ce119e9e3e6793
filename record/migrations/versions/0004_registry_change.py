"""What is changed in registry and limits.

Revision ID: 0.1.7
Revises: 0.1.6
"""

import sqlalchemy as sa
from alembic import op

revision = "0.1.7"
down_revision = "0.1.6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "registry_change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.String(length=140), nullable=False),
        sa.Column("part", sa.String(length=300), nullable=False),
        sa.Column("before", sa.Text()),
        sa.Column("after", sa.Text()),
        sa.Column("serial", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_registry_change_site", "registry_change", ["site"])
    op.create_index("ix_registry_change_serial", "registry_change", ["serial"])
