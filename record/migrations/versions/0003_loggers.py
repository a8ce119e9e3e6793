"""What data loggers report beside readings, the gaps that they were asked for, and their frames."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "frame",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("device", sa.String(length=80), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False, comment="as it came, its password and keys as ***"),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, comment="of data"),
        sa.PrimaryKeyConstraint("id"),
        comment="Frames of loggers as they came, for as long as the setting says.",
    )
    op.create_index(op.f("ix_frame_received"), "frame", ["received"], unique=False)
    op.create_table(
        "gap",
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("device", sa.String(length=80), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("found", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False, comment="open, filled, partly, unfilled"),
        sa.Column("filled", sa.Integer(), nullable=False, comment="minutes that have come since"),
        sa.Column(
            "source",
            sa.String(length=10),
            nullable=False,
            comment="what they came as: readings, reported; empty: none came",
        ),
        sa.Column("asked", sa.Integer(), nullable=False, comment="how often it was asked for"),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column(
            "serial",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="number of the transaction that wrote the row; whoever follows the record goes by it",
        ),
        sa.PrimaryKeyConstraint("site", "device", "start"),
        comment="Spans in which a logger's readings are missing, and what became of asking for them.",
    )
    op.create_index(op.f("ix_gap_serial"), "gap", ["serial"], unique=False)
    op.create_table(
        "information",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("site", sa.String(length=80), nullable=False),
        sa.Column("device", sa.String(length=80), nullable=False),
        sa.Column("command", sa.String(length=4), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=True, comment="DataTime"),
        sa.Column("content", sa.Text(), nullable=False, comment="JSON: names and texts as sent, without passwords"),
        sa.PrimaryKeyConstraint("id"),
        comment="What loggers say beside values: logs, states, serial numbers, intervals.",
    )
    op.create_index(op.f("ix_information_site_device_id"), "information", ["site", "device", "id"], unique=False)
    op.create_table(
        "reported",
        sa.Column("channel", sa.Integer(), nullable=False),
        sa.Column("command", sa.String(length=4), nullable=False, comment="2051 minutes, 2061 hour, 2031 day"),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("latest", sa.Boolean(), nullable=False, comment="false once the logger has reported something else"),
        sa.Column("end", sa.BigInteger(), nullable=False),
        sa.Column("mean", sa.Float(), nullable=True),
        sa.Column("minimum", sa.Float(), nullable=True),
        sa.Column("maximum", sa.Float(), nullable=True),
        sa.Column("total", sa.Float(), nullable=True, comment="amount, in the unit of the logger"),
        sa.Column("flag", sa.String(length=1), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column(
            "own_mean",
            sa.Float(),
            nullable=True,
            comment="ours of the same window, by the parameter's way of averaging",
        ),
        sa.Column("own_count", sa.Integer(), nullable=True, comment="valid readings in ours"),
        sa.Column("difference", sa.Float(), nullable=True, comment="reported mean - own mean"),
        sa.Column("compared", sa.BigInteger(), nullable=True, comment="when; null: not yet"),
        sa.Column(
            "serial",
            sa.BigInteger(),
            server_default="0",
            nullable=False,
            comment="number of the transaction that wrote the row; whoever follows the record goes by it",
        ),
        sa.PrimaryKeyConstraint("channel", "command", "start", "revision"),
        comment="Aggregates that loggers computed themselves: compared with ours, never mixed in.",
    )
    op.create_index(op.f("ix_reported_compared"), "reported", ["compared"], unique=False)
    op.create_index(op.f("ix_reported_serial"), "reported", ["serial"], unique=False)
    op.create_index(op.f("ix_reported_start"), "reported", ["start"], unique=False)


def downgrade() -> None:
    for table in ("frame", "information", "gap", "reported"):
        op.drop_table(table)
