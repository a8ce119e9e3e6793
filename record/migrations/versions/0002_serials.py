"""Number the transactions, so that others can follow the record.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = ("ledger", "statistic", "verdict", "exceedance", "sliding_hour", "health")


def upgrade() -> None:
    op.create_table(
        "counter",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        comment="Numbers handed out, such as those of transactions.",
    )
    for table in _TABLES:
        op.add_column(
            table,
            sa.Column(
                "serial",
                sa.BigInteger(),
                server_default="0",
                nullable=False,
                comment="number of the transaction that wrote the row; whoever follows the record goes by it",
            ),
        )
        op.create_index(f"ix_{table}_serial", table, ["serial"])


def downgrade() -> None:
    for table in _TABLES:
        op.drop_index(f"ix_{table}_serial", table)
        op.drop_column(table, "serial")
    op.drop_table("counter")
