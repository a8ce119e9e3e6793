"""Tables of the record. Times are milliseconds UTC; nothing here is specific to one database."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s"})

_WHOLE = BigInteger().with_variant(Integer, "sqlite")
"""Numbers are compared with any instant that somebody asks for, so they are as wide everywhere as in SQLite."""


def _serial() -> Column[int]:
    return Column(
        "serial",
        BigInteger,
        nullable=False,
        server_default="0",
        index=True,
        comment="number of the transaction that wrote the row; whoever follows the record goes by it",
    )


channel = Table(
    "channel",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(200), nullable=False, unique=True, comment="site/station/parameter"),
    comment="Channels that ever had data: keeps their numbers stable when the registry changes.",
)

reading_block = Table(
    "reading_block",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True, comment="order of commit"),
    Column("channel", _WHOLE, nullable=False),
    Column("hour", _WHOLE, nullable=False, comment="hours since 1970 UTC; a block never spans two"),
    Column("count", _WHOLE, nullable=False),
    Column(
        "received",
        BigInteger,
        nullable=False,
        comment="when its batch was received; of an hour block, the last of them",
    ),
    Column(
        "data",
        LargeBinary,
        nullable=False,
        comment="rows of greenmine.record.rows.ROW, sorted by time; of an hour block: greenmine.record.hour_blocks; empty: pruned",
    ),
    Column("device", String(80), nullable=False, server_default="", comment="that sent it"),
    Column(
        "sequence",
        LargeBinary,
        nullable=False,
        server_default=text("''"),
        comment="number of each reading's message (int64), -1 where it has none; empty: none has",
    ),
    Column("first", BigInteger, comment="of an hour block: lowest number of those it took the place of"),
    Index(None, "channel", "hour"),
    comment="Raw readings, immutable, never twice for an instant of a channel.",
)

conflict = Table(
    "conflict",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("channel", _WHOLE, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("value", Float),
    Column("flag", String(1), nullable=False),
    Column("received", BigInteger, nullable=False),
    UniqueConstraint("channel", "time", "value", "flag"),
    comment="A different value for an instant already stored: kept, shown, not used.",
)

late = Table(
    "late",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("channel", _WHOLE, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("value", Float),
    Column("flag", String(1), nullable=False),
    Column("received", BigInteger, nullable=False),
    UniqueConstraint("channel", "time"),
    comment="Readings later than the allowed lateness: kept, shown, not used.",
)

rejection = Table(
    "rejection",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("received", BigInteger, nullable=False),
    Column("site", String(80), nullable=False),
    Column("device", String(80), nullable=False),
    Column("topic", Text, nullable=False),
    Column("reason", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    Column("readings", _WHOLE, nullable=False, comment="how many readings it stands for in the ledger"),
    Column("size", _WHOLE, nullable=False, comment="bytes of the whole payload"),
    Column("payload", LargeBinary, nullable=False, comment="the payload, cut to a settable length"),
    Index(None, "site", "id"),
    comment="What could not be taken, with its reason.",
)

signed = Table(
    "signed",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("site", String(80), nullable=False),
    Column("device", String(80), nullable=False),
    Column("topic", Text, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False, comment="of the message; -1: it has none"),
    Column("start", BigInteger, nullable=False, comment="time of its first reading of the day"),
    Column("end", BigInteger, nullable=False, comment="time of its last reading of the day"),
    Column("payload", LargeBinary, nullable=False, comment="as it came, without the signature"),
    Column("signature", LargeBinary, nullable=False, comment="Ed25519, by a key of the device"),
    UniqueConstraint("site", "device", "signature", "start"),
    Index(None, "site", "start"),
    comment="Messages that their device signed, once for each local day of their readings; one that comes again changes nothing.",
)

retry = Table(
    "retry",
    metadata,
    Column("rejection", _WHOLE, primary_key=True, autoincrement=False),
    Column("asked", BigInteger, nullable=False),
    Column("state", String(10), nullable=False, comment="held: until the server's clock is set; waiting, done"),
    Column("done", BigInteger),
    Index(None, "state"),
    comment="Rejections whose payload is to be taken in again; the worker does it.",
)

ledger = Table(
    "ledger",
    metadata,
    Column("site", String(80), nullable=False),
    Column("device", String(80), nullable=False),
    Column("day", String(10), nullable=False, comment="day of receipt in the site's zone"),
    Column("messages", _WHOLE, nullable=False),
    Column("received", _WHOLE, nullable=False),
    Column("stored", _WHOLE, nullable=False),
    Column("duplicate", _WHOLE, nullable=False, comment="repeats, conflicts included"),
    Column("conflict", _WHOLE, nullable=False, comment="of the duplicates, those with another value"),
    Column("rejected", _WHOLE, nullable=False),
    Column("late", _WHOLE, nullable=False, comment="later than the allowed lateness"),
    Column("reordered", _WHOLE, nullable=False, comment="of the stored, those older than their channel's newest"),
    Column(
        "sequence_last",
        BigInteger,
        nullable=False,
        server_default="-1",
        comment="highest sequence number so far, -1 if none",
    ),
    Column("sequence_missing", _WHOLE, nullable=False, comment="numbers passed over, less those that came later"),
    Column("latency_sum", BigInteger, nullable=False, comment="sum over stored readings of receipt - time [ms]"),
    _serial(),
    PrimaryKeyConstraint("site", "device", "day"),
    Index(None, "day", "site"),
    comment="received = stored + duplicate + rejected + late, for every device and day.",
)

ledger_total = Table(
    "ledger_total",
    metadata,
    Column("site", String(80), primary_key=True),
    *(
        Column(name, BigInteger, nullable=False)
        for name in ("messages", "received", "stored", "duplicate", "conflict", "rejected", "late", "sequence_missing")
    ),
    comment="Sums of ledger over all devices and days of a site, written with it, so that nobody need add up years of days.",
)

sequence_gap = Table(
    "sequence_gap",
    metadata,
    Column("site", String(80), nullable=False),
    Column("device", String(80), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False, comment="inclusive"),
    PrimaryKeyConstraint("site", "device", "first"),
    comment="Message sequence numbers passed over and not seen since.",
)

statistic = Table(
    "statistic",
    metadata,
    Column("channel", _WHOLE, nullable=False),
    Column("window", String(10), nullable=False, comment="hour, day, daytime, nighttime"),
    Column("start", BigInteger, nullable=False),
    Column("revision", _WHOLE, nullable=False),
    Column("latest", Boolean, nullable=False, comment="false once a later revision exists"),
    Column("end", BigInteger, nullable=False),
    Column("mean", Float, comment="by the parameter's way of averaging"),
    Column("minimum", Float),
    Column("maximum", Float),
    Column("count", _WHOLE, nullable=False, comment="valid readings used"),
    Column("expected", Float, nullable=False),
    Column("capture", Float, nullable=False, comment="share of the expected readings, 0..1"),
    Column("valid", Boolean, nullable=False),
    Column("hours", _WHOLE, comment="valid hours, for windows longer than one"),
    Column("excluded", _WHOLE, nullable=False, comment="minutes excluded for rain, wind or a mark"),
    Column(
        "over",
        _WHOLE,
        nullable=False,
        server_default="0",
        comment="minutes with a value beyond its instrument's range: a lower bound",
    ),
    Column("suspect", _WHOLE, nullable=False, comment="minutes that look like a spike or a jump"),
    Column("l10", Float),
    Column("l50", Float),
    Column("l90", Float),
    Column("reason", String(40), nullable=False, comment="why this revision was issued"),
    Column("issued", BigInteger, nullable=False),
    _serial(),
    PrimaryKeyConstraint("channel", "window", "start", "revision"),
    comment="Figures over legal windows; restated, not overwritten.",
)

verdict = Table(
    "verdict",
    metadata,
    Column("rule", String(200), nullable=False, comment="site/station/limit"),
    Column("start", BigInteger, nullable=False),
    Column("revision", _WHOLE, nullable=False),
    Column("latest", Boolean, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column(
        "begin",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="what was judged: where any hour counts, the highest in the period",
    ),
    Column("finish", BigInteger, nullable=False, server_default="0"),
    Column("verdict", String(16), nullable=False, comment="meets, exceeds, not assessable"),
    Column("value", Float, comment="the statistic, unrounded"),
    Column("judged", String(40), comment="the figure that was compared, after rounding"),
    Column("low", Float),
    Column("high", Float),
    Column("capture", Float, nullable=False),
    Column("reason", String(40), nullable=False, comment="code of the reason; see docs"),
    Column(
        "reasons",
        Text,
        nullable=False,
        server_default="",
        comment="codes, with blanks between: why it is indicative; empty: statutory",
    ),
    Column("detail", Text, nullable=False, comment="JSON: what the reason rests on"),
    Column("change", String(40), nullable=False, comment="why this revision was issued"),
    Column("issued", BigInteger, nullable=False),
    _serial(),
    PrimaryKeyConstraint("rule", "start", "revision"),
    Index(None, "start"),
    comment="Judgements with reasons; restated, not overwritten.",
)

exceedance = Table(
    "exceedance",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("rule", String(200), nullable=False),
    Column("site", String(80), nullable=False),
    Column("start", BigInteger, nullable=False, comment="event time"),
    Column("end", BigInteger, comment="event time; null while open"),
    Column("state", String(10), nullable=False, comment="open, closed, withdrawn"),
    Column("peak", Float),
    Column("peak_time", BigInteger),
    Column("threshold", Float, comment="in force at the start"),
    Column("minutes", _WHOLE, nullable=False, comment="minutes above the threshold"),
    Column("revision", _WHOLE, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("cause", Text, nullable=False, server_default=""),
    Column("handling", Text, nullable=False, server_default=""),
    Column("acknowledged", BigInteger, comment="when somebody first said that it was seen"),
    _serial(),
    Index(None, "site", "start"),
    Index(None, "state"),
    Index(None, "rule", "start"),
    comment="One episode above a limit.",
)

suggestion = Table(
    "suggestion",
    metadata,
    Column("exceedance", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", _WHOLE, nullable=False, comment="of the exceedance that was looked at"),
    Column("mark", BigInteger, nullable=False, comment="the newest mark of blasting that may touch it; 0: none"),
    Column("cause", String(20), comment="outside, blasting, dry, works; null: cannot be told"),
    Column("share", Float, comment="estimated part of the concentration"),
    _serial(),
    comment="Suggested causes of dust episodes that are over; no figure and no verdict rests on them.",
)

exceedance_revision = Table(
    "exceedance_revision",
    metadata,
    Column("id", _WHOLE, nullable=False),
    Column("revision", _WHOLE, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger),
    Column("state", String(10), nullable=False),
    Column("peak", Float),
    Column("minutes", _WHOLE, nullable=False),
    Column("changed", BigInteger, nullable=False),
    PrimaryKeyConstraint("id", "revision"),
    comment="Earlier forms of restated episodes.",
)

sliding_hour = Table(
    "sliding_hour",
    metadata,
    Column("rule", String(200), nullable=False),
    Column("hour", _WHOLE, nullable=False, comment="hours since 1970 UTC"),
    Column("assessable", BigInteger, nullable=False, comment="bit i: minute i of the hour could be assessed"),
    Column("above", BigInteger, nullable=False, comment="bit i: the sliding statistic was beyond the threshold"),
    Column("worst", Float, comment="value furthest from compliance among the assessable minutes"),
    _serial(),
    PrimaryKeyConstraint("rule", "hour"),
    comment="What a limit's sliding statistic did, an hour a row: the brick of rolling exceedance statistics.",
)

mark = Table(
    "mark",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("site", String(80), nullable=False),
    Column("station", String(80), nullable=False),
    Column("parameter", String(40), comment="null: all of the station"),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("kind", String(20), nullable=False, comment="maintenance, calibration, stop, fault, blasting, weather"),
    Column("reason", Text, nullable=False),
    Column("author", String(80), nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("confirmed_by", String(80), comment="supervisor who confirmed it; null: it takes no exceedance away"),
    Index(None, "site", "start"),
    comment="Statements about periods; readings under an excluding mark stay stored and do not count.",
)

health = Table(
    "health",
    metadata,
    Column("channel", _WHOLE, nullable=False),
    Column("state", String(12), nullable=False, comment="good, silent, frozen, skewed, implausible"),
    Column("since", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
    _serial(),
    PrimaryKeyConstraint("channel", "since"),
    comment="Changes of a channel's health; the newest row is its state.",
)

worker = Table(
    "worker",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("updated", BigInteger, nullable=False),
    Column("status", Text, nullable=False, comment="JSON: connection, counters, latencies"),
    comment="What the running collector says of itself.",
)

log_position = Table(
    "log_position",
    metadata,
    Column("partition", _WHOLE, primary_key=True, autoincrement=False),
    Column("owner", String(200), nullable=False, comment="who reads it: machine and process"),
    Column("epoch", BigInteger, nullable=False, comment="counts the owners; the former one commits no more"),
    Column(
        "position", BigInteger, nullable=False, comment="number of the newest message whose readings are in the record"
    ),
    Column("stamp", BigInteger, nullable=False, comment="when that one was put into the log [ns UTC]"),
    comment="How far each partition of the log has been read, written in the transaction of what was read.",
)

member = Table(
    "member",
    metadata,
    Column("name", String(200), primary_key=True, comment="machine, process and start"),
    Column("beat", BigInteger, nullable=False, comment="grows as long as it works"),
    Column("updated", BigInteger, nullable=False, comment="by its own clock, for people"),
    comment="Workers that share the partitions; who has not beaten for a while is taken as gone by the others.",
)

site_partition = Table(
    "site_partition",
    metadata,
    Column("site", String(80), primary_key=True),
    Column("partition", _WHOLE, nullable=False),
    comment="Partition in which each site's readings were taken from the log last.",
)

counter = Table(
    "counter",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
    comment="Numbers of transactions that were handed out; on PostgreSQL the sequence transaction_number does it.",
)

transaction_number = Sequence("transaction_number", metadata=metadata)
"""Numbers of transactions on PostgreSQL, where those of several partitions do not wait for each other."""

meta = Table(
    "meta",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("value", Text, nullable=False),
    comment="Facts about this record, such as the digest of the registry it was judged with.",
)

current = Table(
    "current",
    metadata,
    Column("key", String(200), nullable=False, comment="of a channel, of a rule, or id of a site"),
    Column(
        "kind",
        String(10),
        nullable=False,
        comment="reading, valid, health, verdict; change, figures, restated: of a site",
    ),
    Column("site", String(80), nullable=False),
    Column(
        "time", BigInteger, nullable=False, comment="of the newest; start of a verdict's period; serial of a change"
    ),
    Column("data", LargeBinary, nullable=False, comment="a reading: greenmine.record.rows.ROW; else empty"),
    PrimaryKeyConstraint("key", "kind"),
    Index(None, "site", "kind"),
    Index(None, "kind", "time"),
    comment="Newest state of every channel and rule, written with what it comes from, so that nobody need look for it.",
)

basis = Table(
    "basis",
    metadata,
    Column("site", String(80), primary_key=True),
    Column("parts", Text, nullable=False, comment="JSON: greenmine.record.basis.Basis"),
    comment="What the figures of each site rest on besides readings and marks: limits, calibrations, instruments.",
)

registry_change = Table(
    "registry_change",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("site", String(80), nullable=False, index=True),
    Column("time", BigInteger, nullable=False, comment="when it was taken up"),
    Column("author", String(140), nullable=False, comment="empty: in the files"),
    Column(
        "part", String(300), nullable=False, comment="of greenmine.record.basis.Basis; empty: somebody begins to edit"
    ),
    Column("before", Text, comment="JSON; NULL: it was not there"),
    Column("after", Text, comment="JSON; NULL: it is gone"),
    _serial(),
    comment="What was changed in the registry and in the limits, part by part.",
)

restatement = Table(
    "restatement",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("site", String(80), nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("reason", String(40), nullable=False),
    comment="Spans whose figures are to be computed again; what was computed leaves.",
)

archive_head = Table(
    "archive_head",
    metadata,
    Column("site", String(80), primary_key=True),
    Column("head", Text, nullable=False, comment="JSON: greenmine.record.archive.archive.Head"),
    comment="What the record remembers of each site's archive.",
)

reported = Table(
    "reported",
    metadata,
    Column("channel", _WHOLE, nullable=False),
    Column("command", String(4), nullable=False, comment="2051 minutes, 2061 hour, 2031 day"),
    Column("start", BigInteger, nullable=False),
    Column("revision", _WHOLE, nullable=False),
    Column("latest", Boolean, nullable=False, comment="false once the logger has reported something else"),
    Column("end", BigInteger, nullable=False),
    Column("mean", Float),
    Column("minimum", Float),
    Column("maximum", Float),
    Column("total", Float, comment="amount, in the unit of the logger"),
    Column("flag", String(1), nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("own_mean", Float, comment="ours of the same window, by the parameter's way of averaging"),
    Column("own_count", _WHOLE, comment="valid readings in ours"),
    Column("difference", Float, comment="reported mean - own mean"),
    Column("compared", BigInteger, comment="when; null: not yet"),
    _serial(),
    PrimaryKeyConstraint("channel", "command", "start", "revision"),
    Index(None, "start"),
    Index(None, "compared"),
    comment="Aggregates that loggers computed themselves: compared with ours, never mixed in.",
)

gap = Table(
    "gap",
    metadata,
    Column("site", String(80), nullable=False),
    Column("device", String(80), nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("found", BigInteger, nullable=False),
    Column("state", String(10), nullable=False, comment="open, filled, partly, unfilled"),
    Column("filled", _WHOLE, nullable=False, comment="minutes that have come since"),
    Column("source", String(10), nullable=False, comment="what they came as: readings, reported; empty: none came"),
    Column("asked", _WHOLE, nullable=False, comment="how often it was asked for"),
    Column("changed", BigInteger, nullable=False),
    _serial(),
    PrimaryKeyConstraint("site", "device", "start"),
    comment="Spans in which a logger's readings are missing, and what became of asking for them.",
)

information = Table(
    "information",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("received", BigInteger, nullable=False),
    Column("site", String(80), nullable=False),
    Column("device", String(80), nullable=False),
    Column("command", String(4), nullable=False),
    Column("time", BigInteger, comment="DataTime"),
    Column("content", Text, nullable=False, comment="JSON: names and texts as sent, without passwords"),
    Index(None, "site", "device", "id"),
    comment="What loggers say beside values: logs, states, serial numbers, intervals.",
)

frame = Table(
    "frame",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("received", BigInteger, nullable=False, index=True),
    Column("site", String(80), nullable=False),
    Column("device", String(80), nullable=False),
    Column("data", LargeBinary, nullable=False, comment="as it came, its password and keys as ***"),
    Column("sha256", LargeBinary, nullable=False, comment="of data"),
    comment="Frames of loggers as they came, for as long as the setting says.",
)

handling = Table(
    "handling",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("exceedance", BigInteger, nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("author", String(80), nullable=False),
    Column("kind", String(12), nullable=False, comment="acknowledged, cause, handling, comment, attachment"),
    Column("text", Text, nullable=False),
    Column("name", String(200), comment="file name of an attachment"),
    Column("media_type", String(100)),
    Column("size", BigInteger, comment="[bytes]"),
    Column("digest", String(64), comment="SHA-256 of the attachment, which names its file"),
    Index(None, "exceedance", "id"),
    comment="What people did about an exceedance; rows are only added.",
)

mark_request = Table(
    "mark_request",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("site", String(80), nullable=False),
    Column("station", String(80), nullable=False),
    Column("parameter", String(40), comment="null: all of the station"),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", String(80), nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("state", String(10), nullable=False, comment="waiting, claimed, done, refused"),
    Column("answer", Text, nullable=False, comment="why it was refused"),
    Column("mark", BigInteger, comment="the mark that it became"),
    Column("answered", BigInteger),
    Column("decided_by", String(80), comment="supervisor who confirmed or refused what it takes away"),
    Column("removes", Text, nullable=False, server_default="[]", comment="JSON: exceeding windows that it takes away"),
    _serial(),
    Index(None, "state"),
    Index(None, "site", "id"),
    comment="Marks that people asked for; the worker, which alone writes figures, takes them up and answers.",
)

upload = Table(
    "upload",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("site", String(80), nullable=False),
    Column("station", String(80), nullable=False),
    Column("author", String(80), nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("name", String(200), nullable=False, comment="of the file, as its owner calls it"),
    Column("size", BigInteger, nullable=False, comment="[bytes]"),
    Column("digest", String(64), nullable=False, comment="SHA-256 of the file as it came, which names it"),
    Column("content", String(64), nullable=False, comment="SHA-256 of what was read from it, which names it"),
    Column("readings", BigInteger, nullable=False, comment="in it"),
    Column("start", BigInteger, nullable=False, comment="of the first reading"),
    Column("end", BigInteger, nullable=False, comment="of the last"),
    Column("said", Text, nullable=False, comment="JSON: what its owner said of how to read it"),
    Column("state", String(10), nullable=False, comment="waiting, done, refused"),
    Column("answer", Text, nullable=False, comment="why it was refused"),
    Column("done", BigInteger, nullable=False, comment="readings that have been through the ordinary path"),
    Column("stored", BigInteger, nullable=False),
    Column("repeated", BigInteger, nullable=False, comment="already there"),
    Column("conflicting", BigInteger, nullable=False, comment="another value is there, which stays"),
    Column("late", BigInteger, nullable=False, comment="beyond the allowed lateness: kept, not used"),
    Column("answered", BigInteger),
    _serial(),
    Index(None, "state"),
    Index(None, "site", "id"),
    comment="Loggers' files that people handed in; the worker takes their readings in, as of the device upload-ID.",
)

bundle = Table(
    "bundle",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("site", String(80), nullable=False),
    Column("period", String(40), nullable=False),
    Column("first", String(10), nullable=False, comment="local day, inclusive"),
    Column("last", String(10), nullable=False, comment="likewise"),
    Column("language", String(2), nullable=False, comment="of the report: zh, en"),
    Column("author", String(140), nullable=False),
    Column("asked", BigInteger, nullable=False),
    Column("state", String(10), nullable=False, comment="waiting, running, done, failed, removed"),
    Column("attempts", _WHOLE, nullable=False, comment="how often building began"),
    Column("step", String(80), nullable=False, comment="what is being done"),
    Column("done", _WHOLE, nullable=False, comment="how much of it"),
    Column("total", _WHOLE, nullable=False, comment="of how much; 0: not known"),
    Column("ended", BigInteger, comment="when it was done or failed"),
    Column("error", Text, nullable=False, comment="why it failed"),
    Column("provisional", Text, nullable=False, comment="JSON: days that were not sealed yet"),
    Column("size", BigInteger, comment="[bytes]"),
    Column("digest", String(64), comment="SHA-256 of the file"),
    Index(None, "state"),
    Index(None, "site", "id"),
    comment="Evidence bundles that people asked for; a process of its own builds them, one after the other.",
)

tree_leaf = Table(
    "tree_leaf",
    metadata,
    Column("site", String(80), nullable=False),
    Column("number", _WHOLE, nullable=False),
    Column("day", String(10), nullable=False, comment="local"),
    Column("made", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False, comment="SHA-256 of its rows: greenmine.record.archive.tree"),
    *(
        Column(name, BigInteger, nullable=False, comment="highest row of this table that is in it")
        for name in ("block", "conflict", "late", "rejection", "mark")
    ),
    Column("signed", BigInteger, nullable=False, server_default="0", comment="the same of this table"),
    PrimaryKeyConstraint("site", "number"),
    Index(None, "site", "day"),
    comment="Leaves of each site's hash tree, in order; rows are only added.",
)

tree_root = Table(
    "tree_root",
    metadata,
    Column("site", String(80), nullable=False),
    Column("size", _WHOLE, nullable=False, comment="leaves"),
    Column("root", String(64), nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False, comment="roots of the full subtrees, the largest first"),
    Column("through", Text, nullable=False, comment="JSON: greenmine.record.archive.chain.Through"),
    PrimaryKeyConstraint("site", "size", "made"),
    comment="States of each site's hash tree; rows are only added.",
)

receipt = Table(
    "receipt",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("own", Boolean, nullable=False, comment="for this installation; false: given by it to another"),
    Column("key", String(64), nullable=False, comment="fingerprint of the installation whose state it is"),
    Column("site", String(80), nullable=False),
    Column("witness", String(80), nullable=False),
    Column("size", _WHOLE, nullable=False, comment="leaves of the tree"),
    Column("root", String(64), nullable=False),
    Column("entries", _WHOLE, nullable=False, comment="length of the chain"),
    Column("made", BigInteger, nullable=False, comment="by the clock of the witness"),
    Column("content", Text, nullable=False, comment="JSON: greenmine.record.archive.witness.Receipt"),
    Index(None, "site", "witness", "id"),
    Index(None, "key", "site", "size"),
    comment="Receipts of witnesses for the state of the trees; rows are only added.",
)

sealed_day = Table(
    "sealed_day",
    metadata,
    Column("site", String(80), nullable=False),
    Column("day", String(10), nullable=False, comment="local"),
    Column("pruned", BigInteger, comment="its blocks up to this one left the record; null: none did"),
    PrimaryKeyConstraint("site", "day"),
    comment="Days that the archive holds.",
)

assessment = Table(
    "assessment",
    metadata,
    Column("id", _WHOLE, primary_key=True, autoincrement=True),
    Column("site", String(80), nullable=False),
    Column("period", String(40), nullable=False),
    Column("item", String(80), nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("author", String(140), nullable=False),
    Column("state", String(12), nullable=False, comment="open, underway, met, inapplicable; empty for an attachment"),
    Column("text", Text, nullable=False),
    Column("name", String(200), comment="file name of an attachment"),
    Column("media_type", String(100)),
    Column("size", BigInteger, comment="[bytes]"),
    Column("digest", String(64), comment="SHA-256 of the attachment, which names its file"),
    Index(None, "site", "period", "id"),
    comment="What an enterprise says of the requirement items of a mine; rows are only added.",
)
