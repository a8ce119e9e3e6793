"""Tables of the notices. Times are milliseconds UTC. The file holds secrets of receivers: only its owner may read it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

from greenmine.record import outbox

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

cursor, entry = (table.to_metadata(metadata) for table in (outbox.cursor, outbox.entry))
