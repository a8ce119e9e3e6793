"""Identities of users at an OpenID Connect provider.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identity",
        sa.Column("issuer", sa.String(length=300), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False, comment="claim sub: never another's at its issuer"),
        sa.Column("user", sa.Integer(), sa.ForeignKey("user.id"), nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject"),
        comment="Who a user is at an OpenID Connect provider.",
    )


def downgrade() -> None:
    op.drop_table("identity")
