"""Remember the end of each site's archive.

Revision ID: 0008
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "archive_head",
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("head", sa.Text(), nullable=False, comment="JSON: greenmine.record.archive.archive.Head"),
        sa.PrimaryKeyConstraint("site"),
        comment="What the record remembers of each site's archive.",
    )


def downgrade() -> None:
    op.drop_table("archive_head")
