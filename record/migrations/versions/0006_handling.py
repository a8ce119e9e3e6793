"""Handling of exceedances, and marks asked for.

Revision ID: 0006
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column(
        "exceedance",
        sa.Column("acknowledged", sa.BigInteger(), comment="when somebody first said that it was seen"),
    )
    op.create_table(
        "handling",
        sa.Column("id", _ID, nullable=False, autoincrement=True),
        sa.Column("exceedance", sa.BigInteger(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.String(length=80), nullable=False),
        sa.Column(
            "kind", sa.String(length=12), nullable=False, comment="acknowledged, cause, handling, comment, attachment"
        ),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("name", sa.String(length=200), comment="file name of an attachment"),
        sa.Column("media_type", sa.String(length=100)),
        sa.Column("size", sa.BigInteger(), comment="[bytes]"),
        sa.Column("digest", sa.String(length=64), comment="SHA-256 of the attachment, which names its file"),
        sa.PrimaryKeyConstraint("id"),
        comment="What people did about an exceedance; rows are only added.",
    )
    op.create_index("ix_handling_exceedance_id", "handling", ["exceedance", "id"])
    op.create_table(
        "mark_request",
        sa.Column("id", _ID, nullable=False, autoincrement=True),
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("station", sa.String(length=80), nullable=False),
        sa.Column("parameter", sa.String(length=40), comment="null: all of the station"),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=80), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False, comment="waiting, done, refused"),
        sa.Column("answer", sa.Text(), nullable=False, comment="why it was refused"),
        sa.Column("mark", sa.BigInteger(), comment="the mark that it became"),
        sa.Column("answered", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
        comment="Marks that people asked for; the worker, which alone writes figures, takes them up and answers.",
    )
    op.create_index("ix_mark_request_state", "mark_request", ["state"])
    op.create_index("ix_mark_request_site_id", "mark_request", ["site", "id"])


def downgrade() -> None:
    op.drop_table("mark_request")
    op.drop_table("handling")
    op.drop_column("exceedance", "acknowledged")
