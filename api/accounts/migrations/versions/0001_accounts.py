"""Users, sessions, tokens, publications, and an audit log that only grows.

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
        "user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False, comment="as signed in with, in lower case"),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("enterprises", sa.JSON(), nullable=False, comment="ids of the registry, for the role enterprise"),
        sa.Column("password", sa.Text(), nullable=True, comment="argon2id; null for who works by tokens only"),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("disabled", sa.BigInteger(), nullable=True, comment="since when; null while the account is in use"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        comment="Who may sign in.",
    )
    op.create_table(
        "session",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False, comment="SHA-256 of the cookie"),
        sa.Column(
            "previous", sa.String(length=64), nullable=True, comment="SHA-256 of the cookie before the last rotation"
        ),
        sa.Column("csrf", sa.String(length=64), nullable=False, comment="synchroniser token of the forms"),
        sa.Column("user", sa.Integer(), sa.ForeignKey("user.id"), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("rotated", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        comment="Browsers that are signed in.",
    )
    op.create_index("ix_session_previous", "session", ["previous"])
    op.create_index("ix_session_user", "session", ["user"])
    op.create_table(
        "token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False, comment="SHA-256 of the token"),
        sa.Column("user", sa.Integer(), sa.ForeignKey("user.id"), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sites", sa.JSON(none_as_null=True), nullable=True, comment="null: all sites of its owner"),
        sa.Column("write", sa.Boolean(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        comment="Keys of programs; each acts for its owner.",
    )
    op.create_index("ix_token_user", "token", ["user"])
    op.create_table(
        "publication",
        sa.Column("site", sa.String(length=60), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site"),
        comment="Sites whose daily compliance anybody may see.",
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("user", sa.Integer(), nullable=True, comment="who did it; null for the unknown"),
        sa.Column("name", sa.String(length=140), nullable=False, comment="their name, or the token's, at that time"),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("site", sa.String(length=60), nullable=True, comment="the site concerned, if it is one"),
        sa.Column("subject", sa.String(length=200), nullable=False, comment="what it was done to"),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="What was done by whom; a trigger refuses changes.",
    )
    op.create_index("ix_audit_user", "audit", ["user"])
    op.create_index("ix_audit_site", "audit", ["site"])
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_refuses_{change.lower()} BEFORE {change} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END"
            )


def downgrade() -> None:
    for table in ("audit", "publication", "token", "session", "user"):
        op.drop_table(table)
