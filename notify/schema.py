"""Tables of the notices. Times are milliseconds UTC. The file holds secrets of receivers: only its owner may read it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

subscription = Table(
    "subscription",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("enterprise", String(60), index=True, comment="whose; null: the district's"),
    Column("name", String(64), nullable=False),
    Column("target", Text, nullable=False, comment="JSON: greenmine.notify.targets, secrets included"),
    Column("events", Text, nullable=False, comment="JSON: kinds of events"),
    Column("sites", Text, comment="JSON: ids; null: all that its owner sees"),
    Column("language", String(2), nullable=False),
    Column("quiet", Text, comment="JSON: greenmine.notify.quiet.QuietHours; null: at any time"),
    Column("enabled", Boolean, nullable=False),
    Column("author", String(140), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0", comment="attempts in a row that failed"),
    Column("trouble", Text, nullable=False, server_default="", comment="why the last attempt failed"),
    Column("sent", Integer, nullable=False, server_default="0", comment="messages delivered"),
    Column("last", BigInteger, comment="when the last one was"),
    comment="Who is told of what, by which way.",
)

notice = Table(
    "notice",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subscription", Integer, nullable=False),
    Column("kind", String(30), nullable=False),
    Column("time", BigInteger, nullable=False, comment="when it happened"),
    Column("made", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False, comment="not told before: the end of quiet hours"),
    Column("held", Boolean, nullable=False, comment="it fell into quiet hours"),
    Column("data", Text, nullable=False, comment="JSON: greenmine.notify.event.Event"),
    Column("message", String(36), comment="the message that tells it; null: not yet in one"),
    Index(None, "subscription", "message", "due"),
    Index(None, "message"),
    comment="Events for subscriptions.",
)

message = Table(
    "message",
    metadata,
    Column("number", Integer, primary_key=True, comment="order"),
    Column("id", String(36), nullable=False, unique=True, comment="what receivers tell repetitions by"),
    Column("subscription", Integer, nullable=False),
    Column("digest", Boolean, nullable=False, comment="of what fell into quiet hours"),
    Column("since", BigInteger, nullable=False, comment="when the first of its notices was due"),
    Column("state", String(8), nullable=False, comment="waiting, sent, dead"),
    Column("attempts", Integer, nullable=False),
    Column("next", BigInteger, nullable=False, comment="not tried before"),
    Column("done", BigInteger, comment="when it was delivered or given up"),
    Column("trouble", Text, nullable=False, comment="why the last attempt failed"),
    Index(None, "state", "next"),
    Index(None, "subscription", "number"),
    comment="What is sent at once, under one id that stays the same however often it is tried.",
)

notified_state = Table(
    "notified_state",
    metadata,
    Column("subject", String(120), primary_key=True, comment="exceedance/7, channel/12, capture/12/1795276800000"),
    Column("state", String(40), nullable=False),
    comment="What of the record has been told, so that only changes are.",
)

cursor = Table(
    "cursor",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("serial", BigInteger, nullable=False),
    comment="Number of the transaction of the record up to which it has been followed.",
)
