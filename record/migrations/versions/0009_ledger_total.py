"""Sums of the ledger, and the ledger by day.

Revision ID: 0.1.12
Revises: 0.1.11
"""

import sqlalchemy as sa
from alembic import op

revision = "0.1.12"
down_revision = "0.1.11"
branch_labels = None
depends_on = None

_COUNTS = ("messages", "received", "stored", "duplicate", "conflict", "rejected", "late", "sequence_missing")


def upgrade() -> None:
    op.create_table(
        "ledger_total",
        sa.Column("site", sa.String(length=80), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint("site"),
    )
    names, sums = ", ".join(_COUNTS), ", ".join(f"sum({name})" for name in _COUNTS)
    op.execute(f"INSERT INTO ledger_total (site, {names}) SELECT site, {sums} FROM ledger GROUP BY site")  # noqa: S608 - names of ours
    op.create_index("ix_ledger_day_site", "ledger", ["day", "site"])
