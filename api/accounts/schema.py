"""Tables of the accounts. Times are milliseconds UTC; secrets are stored as their SHA-256 only, passwords as argon2."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Integer, MetaData, String, Table, Text

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

user = Table(
    "user",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True, comment="as signed in with, in lower case"),
    Column("role", String(20), nullable=False),
    Column("enterprises", JSON, nullable=False, comment="ids of the registry, for the role enterprise"),
    Column("townships", JSON, nullable=False, server_default="[]", comment="for the role township, as sites name them"),
    Column("password", Text, comment="argon2id; null for who works by tokens only"),
    Column("created", BigInteger, nullable=False),
    Column("disabled", BigInteger, comment="since when; null while the account is in use"),
    comment="Who may sign in.",
)

session = Table(
    "session",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True, comment="SHA-256 of the cookie"),
    Column("previous", String(64), index=True, comment="SHA-256 of the cookie before the last rotation"),
    Column("csrf", String(64), nullable=False, comment="synchroniser token of the forms"),
    Column("user", Integer, ForeignKey("user.id"), nullable=False, index=True),
    Column("created", BigInteger, nullable=False),
    Column("rotated", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("address", String(64), nullable=False),
    Column("agent", String(200), nullable=False),
    comment="Browsers that are signed in.",
)

token = Table(
    "token",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True, comment="SHA-256 of the token"),
    Column("user", Integer, ForeignKey("user.id"), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    Column("sites", JSON(none_as_null=True), comment="null: all sites of its owner"),
    Column("write", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("revoked", BigInteger),
    Column("used", BigInteger),
    comment="Keys of programs; each acts for its owner.",
)

publication = Table(
    "publication",
    metadata,
    Column("site", String(60), primary_key=True),
    Column("since", BigInteger, nullable=False),
    comment="Sites whose daily compliance anybody may see.",
)

identity = Table(
    "identity",
    metadata,
    Column("issuer", String(300), primary_key=True),
    Column("subject", String(255), primary_key=True, comment="claim sub: never another's at its issuer"),
    Column("user", Integer, ForeignKey("user.id"), nullable=False),
    comment="Who a user is at an OpenID Connect provider.",
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("user", Integer, index=True, comment="who did it; null for the unknown"),
    Column("name", String(140), nullable=False, comment="their name, or the token's, at that time"),
    Column("address", String(64), nullable=False),
    Column("action", String(40), nullable=False),
    Column("site", String(60), index=True, comment="the site concerned, if it is one"),
    Column("subject", String(200), nullable=False, comment="what it was done to"),
    Column("detail", JSON, nullable=False),
    comment="What was done by whom; a trigger refuses changes.",
)

share = Table(
    "share",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "hash",
        String(64),
        unique=True,
        comment="SHA-256 of the code in the link; null for what is handed to an account",
    ),
    Column(
        "evaluator", Integer, ForeignKey("user.id"), index=True, comment="account that it is handed to; null for a link"
    ),
    Column("bundle", BigInteger, nullable=False, index=True, comment="number in the record"),
    Column(
        "digest", String(64), nullable=False, comment="SHA-256 of its file: no other file is ever handed out instead"
    ),
    Column("site", String(80), nullable=False),
    Column("receiver", String(100), nullable=False, comment="for whom, in the words of its maker"),
    Column("author", String(140), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("revoked", BigInteger),
    Column("used", BigInteger, comment="last download"),
    Column("downloads", Integer, nullable=False),
    comment="Evidence bundles that are open to somebody who does not see their mine.",
)
