"""Blocks of a whole hour.

Revision ID: 0.1.8
Revises: 0.1.7
"""

import sqlalchemy as sa
from alembic import op

revision = "0.1.8"
down_revision = "0.1.7"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reading_block", sa.Column("first", sa.BigInteger()))
