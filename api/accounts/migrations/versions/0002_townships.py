"""Townships of the role of that name.

Revision ID: 0.2
Revises: 0.1
"""

import sqlalchemy as sa
from alembic import op

revision = "0.2"
down_revision = "0.1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("user", sa.Column("townships", sa.JSON(), nullable=False, server_default="[]"))
