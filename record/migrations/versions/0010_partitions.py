"""Workers that share an installation, the partition of each site, and numbers of transactions that wait for nobody.

Revision ID: 0.1.13
Revises: 0.1.12
"""

import sqlalchemy as sa
from alembic import op

revision = "0.1.13"
down_revision = "0.1.12"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "member",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "site_partition",
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("site"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE transaction_number")
        op.execute("SELECT setval('transaction_number', value) FROM counter WHERE name = 'transaction' AND value > 0")
        op.execute("DELETE FROM counter WHERE name = 'transaction'")
