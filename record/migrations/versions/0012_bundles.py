"""Evidence bundles that were asked for, sealed days, and self-assessments.

Revision ID: 0012
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0008"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "bundle",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("period", sa.String(length=40), nullable=False),
        sa.Column("first", sa.String(length=10), nullable=False, comment="local day, inclusive"),
        sa.Column("last", sa.String(length=10), nullable=False, comment="likewise"),
        sa.Column("language", sa.String(length=2), nullable=False, comment="of the report: zh, en"),
        sa.Column("author", sa.String(length=140), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False, comment="waiting, running, done, failed, removed"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="how often building began"),
        sa.Column("step", sa.String(length=80), nullable=False, comment="what is being done"),
        sa.Column("done", sa.Integer(), nullable=False, comment="how much of it"),
        sa.Column("total", sa.Integer(), nullable=False, comment="of how much; 0: not known"),
        sa.Column("ended", sa.BigInteger(), nullable=True, comment="when it was done or failed"),
        sa.Column("error", sa.Text(), nullable=False, comment="why it failed"),
        sa.Column("provisional", sa.Text(), nullable=False, comment="JSON: days that were not sealed yet"),
        sa.Column("size", sa.BigInteger(), nullable=True, comment="[bytes]"),
        sa.Column("digest", sa.String(length=64), nullable=True, comment="SHA-256 of the file"),
        sa.PrimaryKeyConstraint("id"),
        comment="Evidence bundles that people asked for; a process of its own builds them, one after the other.",
    )
    op.create_index("ix_bundle_state", "bundle", ["state"])
    op.create_index("ix_bundle_site_id", "bundle", ["site", "id"])
    op.create_table(
        "sealed_day",
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False, comment="local"),
        sa.Column(
            "pruned",
            sa.BigInteger(),
            nullable=True,
            comment="its blocks up to this one left the record; null: none did",
        ),
        sa.PrimaryKeyConstraint("site", "day"),
        comment="Days that the archive holds.",
    )
    op.create_table(
        "assessment",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("period", sa.String(length=40), nullable=False),
        sa.Column("item", sa.String(length=80), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.String(length=140), nullable=False),
        sa.Column(
            "state",
            sa.String(length=12),
            nullable=False,
            comment="open, underway, met, inapplicable; empty for an attachment",
        ),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True, comment="file name of an attachment"),
        sa.Column("media_type", sa.String(length=100), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True, comment="[bytes]"),
        sa.Column(
            "digest", sa.String(length=64), nullable=True, comment="SHA-256 of the attachment, which names its file"
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="What an enterprise says of the requirement items of a mine; rows are only added.",
    )
    op.create_index("ix_assessment_site_period_id", "assessment", ["site", "period", "id"])


def downgrade() -> None:
    for table in ("assessment", "sealed_day", "bundle"):
        op.drop_table(table)
