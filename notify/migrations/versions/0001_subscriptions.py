"""Subscriptions, notices, the messages that tell them, and how far the record has been followed.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "subscription",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("enterprise", sa.String(length=60), nullable=True, comment="whose; null: the district's"),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("target", sa.Text(), nullable=False, comment="JSON: greenmine.notify.targets, secrets included"),
        sa.Column("events", sa.Text(), nullable=False, comment="JSON: kinds of events"),
        sa.Column("sites", sa.Text(), nullable=True, comment="JSON: ids; null: all that its owner sees"),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column(
            "quiet", sa.Text(), nullable=True, comment="JSON: greenmine.notify.quiet.QuietHours; null: at any time"
        ),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("author", sa.String(length=140), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column(
            "failures", sa.Integer(), nullable=False, server_default="0", comment="attempts in a row that failed"
        ),
        sa.Column("trouble", sa.Text(), nullable=False, server_default="", comment="why the last attempt failed"),
        sa.Column("sent", sa.Integer(), nullable=False, server_default="0", comment="messages delivered"),
        sa.Column("last", sa.BigInteger(), nullable=True, comment="when the last one was"),
        sa.PrimaryKeyConstraint("id"),
        comment="Who is told of what, by which way.",
    )
    op.create_index("ix_subscription_enterprise", "subscription", ["enterprise"])
    op.create_table(
        "notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscription", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False, comment="when it happened"),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False, comment="not told before: the end of quiet hours"),
        sa.Column("held", sa.Boolean(), nullable=False, comment="it fell into quiet hours"),
        sa.Column("data", sa.Text(), nullable=False, comment="JSON: greenmine.notify.event.Event"),
        sa.Column(
            "message", sa.String(length=36), nullable=True, comment="the message that tells it; null: not yet in one"
        ),
        sa.PrimaryKeyConstraint("id"),
        comment="Events for subscriptions.",
    )
    op.create_index("ix_notice_subscription_message_due", "notice", ["subscription", "message", "due"])
    op.create_index("ix_notice_message", "notice", ["message"])
    op.create_table(
        "message",
        sa.Column("number", sa.Integer(), nullable=False, comment="order"),
        sa.Column("id", sa.String(length=36), nullable=False, comment="what receivers tell repetitions by"),
        sa.Column("subscription", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Boolean(), nullable=False, comment="of what fell into quiet hours"),
        sa.Column("since", sa.BigInteger(), nullable=False, comment="when the first of its notices was due"),
        sa.Column("state", sa.String(length=8), nullable=False, comment="waiting, sent, dead"),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False, comment="not tried before"),
        sa.Column("done", sa.BigInteger(), nullable=True, comment="when it was delivered or given up"),
        sa.Column("trouble", sa.Text(), nullable=False, comment="why the last attempt failed"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        comment="What is sent at once, under one id that stays the same however often it is tried.",
    )
    op.create_index("ix_message_state_next", "message", ["state", "next"])
    op.create_index("ix_message_subscription_number", "message", ["subscription", "number"])
    op.create_table(
        "told",
        sa.Column(
            "subject",
            sa.String(length=120),
            nullable=False,
            comment="exceedance/7, channel/12, capture/12/1795276800000",
        ),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
        comment="What of the record has been told, so that only changes are.",
    )
    op.create_table(
        "cursor",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        comment="Number of the transaction of the record up to which it has been followed.",
    )


def downgrade() -> None:
    for table in ("cursor", "told", "message", "notice", "subscription"):
        op.drop_table(table)
