"""What the InfluxDB projection holds: measurements, tags, fields, units. ``docs/influx.md`` is generated from it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["float", "integer", "string"]
Precision = Literal["ms", "ns"]

DISTRICT: Final = "greenmine_district"
"""The bucket that holds all enterprises."""


FINDINGS: Final = (
    ("meets", "statutory"),
    ("meets", "indicative"),
    ("not assessable", "indicative"),
    ("exceeds", "indicative"),
    ("exceeds", "statutory"),
)
"""Judgement and standing by the number of the finding; the greater decides where several limits count."""
OWN: Final = 5
"""The finding that something is beyond a target or a warning of the mine's own, which have no standing at law."""
WITHIN_OWN: Final = 6
"""The finding that it is within one: no compliance with anything."""


def finding_of(judgement: str, standing: str, *, lawful: bool = True) -> int | None:
    """Return the number of a finding; None where the judgement is unknown."""
    if not lawful and judgement != "not assessable":
        return {"exceeds": OWN, "meets": WITHIN_OWN}.get(judgement)
    standing = "indicative" if judgement == "not assessable" else standing
    return FINDINGS.index((judgement, standing)) if (judgement, standing) in FINDINGS else None


def bucket_of(enterprise: str) -> str:
    """Name of an enterprise's bucket.

    Raises
    ------
    ValueError
        The enterprise is called like the bucket that holds all.
    """
    name = f"greenmine_{enterprise}"
    if name == DISTRICT:
        raise ValueError(f"no enterprise may have the id {enterprise!r}: its bucket would be that of the district")
    return name


@dataclass(frozen=True, slots=True)
class Tag:
    """What points are told apart by; a tag without a value is left out of the point."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """A figure or text of a point; left out where there is none.

    ``unit`` is empty for what has none, ``parameter`` for the canonical unit of the parameter.
    """

    name: str
    kind: Kind
    unit: str
    text: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """One kind of points.

    Parameters
    ----------
    name : str
        Name in InfluxDB.
    text : str
        What a point says.
    time : str
        What its time is.
    tags : tuple of Tag
        With the time they are the identity of a point: written again it replaces itself.
    fields : tuple of Field
        At least one of them is in every point.
    precision : {"ms", "ns"}
        Unit of the times on the wire. With ``ns``, the place behind the millisecond is the row's number in the record modulo a
        million, so that several points may share a millisecond.
    sample : bool
        Sampled while the system runs: not in the record, so nothing that a rebuild makes or removes.
    """

    name: str
    text: str
    time: str
    tags: tuple[Tag, ...]
    fields: tuple[Field, ...]
    precision: Precision = "ms"
    sample: bool = False


_ENTERPRISE: Final = Tag("enterprise", "id of the enterprise")
_SITE: Final = Tag("site", "id of the mine")
_STATION: Final = Tag("station", "id of the station")
_DEVICE: Final = Tag("device", "id of the device")
_CHANNEL: Final = (_ENTERPRISE, _SITE, _STATION, Tag("parameter", "id of the parameter"))
_RULE: Final = (
    *_CHANNEL,
    Tag("limit", "id of the limit in the catalogue; behind it #target-1 … for the station's own targets"),
    Tag("kind", "legal, target or warning"),
    Tag("theme", "theme of the parameter, such as dust"),
)
_WINDOW: Final = Tag("window", "hour, day, daytime, nighttime")
_REVISION_TAG: Final = Tag("revision", "number of the revision, from 0")
_REVISION: Final = Field("revision", "integer", "", "number of the revision, from 0")
_ISSUED: Final = Field("issued", "integer", "ms", "when the revision was issued, since 1970 UTC")
_CLAUSE: Final = Field("clause", "string", "", "standard and clause of the limit")

_FINDING: Final = (
    "0 meets, 1 not above by an indicative method, 2 not assessable, 3 above by an indicative method, 4 exceeds,"
    " 5 beyond the mine's own target or warning, 6 within it"
)

_FIGURES: Final = (
    Field("mean", "float", "parameter", "by the parameter's way of averaging"),
    Field("minimum", "float", "parameter", "least reading used"),
    Field("maximum", "float", "parameter", "greatest reading used"),
    Field("l10", "float", "parameter", "level exceeded 10 % of the time, sound only"),
    Field("l50", "float", "parameter", "level exceeded 50 % of the time, sound only"),
    Field("l90", "float", "parameter", "level exceeded 90 % of the time, sound only"),
    Field("count", "integer", "", "valid readings used"),
    Field("expected", "float", "", "readings due"),
    Field("capture", "float", "share, 0..1", "valid of the readings due"),
    Field("valid", "integer", "", "1 if there was enough for a valid figure, else 0"),
    Field("hours", "integer", "h", "valid hours, for windows longer than one"),
    Field("excluded", "integer", "min", "minutes excluded for rain, wind or a mark"),
    Field("suspect", "integer", "min", "minutes that look like a spike or a jump"),
    Field("end", "integer", "ms", "end of the window, since 1970 UTC"),
)
_VERDICT: Final = (
    Field("verdict", "string", "", "meets, not assessable, exceeds"),
    Field("finding", "integer", "", _FINDING),
    Field("value", "float", "parameter", "the statistic, unrounded"),
    Field("judged", "string", "", "the figure that was compared, rounded as people are told it"),
    Field("low", "float", "parameter", "lower threshold"),
    Field("high", "float", "parameter", "upper threshold"),
    Field("capture", "float", "share, 0..1", "valid of the readings due"),
    Field("reason", "string", "", "code of the reason, see statistics.md"),
    Field("standing", "string", "", "statutory, or indicative; none for targets and warnings"),
    _CLAUSE,
    Field("end", "integer", "ms", "end of the period, since 1970 UTC"),
    Field("asked", "string", "", "query of the page that explains it, behind /explanation?"),
)

MEASUREMENTS: Final = (
    Measurement(
        "reading",
        "A reading as stored, before calibration.",
        "instant of measurement",
        _CHANNEL,
        (
            Field(
                "value", "float", "parameter", "value of a reading that counts: flag N and within the plausible range"
            ),
            Field("raw", "float", "parameter", "value of a reading that does not count"),
            Field(
                "flag", "string", "", "HJ 212 flag of a reading that does not count; N if only its value is implausible"
            ),
        ),
    ),
    Measurement(
        "statistic",
        "A figure over a legal window: the revision that stands.",
        "start of the window",
        (*_CHANNEL, _WINDOW),
        (*_FIGURES, _REVISION),
    ),
    Measurement(
        "statistic_revision",
        "Every revision of a figure.",
        "start of the window",
        (*_CHANNEL, _WINDOW, _REVISION_TAG),
        (*_FIGURES, Field("reason", "string", "", "why this revision was issued"), _ISSUED),
    ),
    Measurement(
        "verdict",
        "A judgement: the revision that stands.",
        "start of the period",
        _RULE,
        (*_VERDICT, _REVISION),
    ),
    Measurement(
        "day",
        "The least favourable of the verdicts on the mine's emissions that begin on a day.",
        "local midnight at which the day begins",
        (_ENTERPRISE, _SITE, Tag("theme", "theme of the limits, such as dust")),
        (
            Field("finding", "integer", "", _FINDING),
            Field("verdicts", "integer", "", "how many there are"),
        ),
    ),
    Measurement(
        "verdict_revision",
        "Every revision of a judgement.",
        "start of the period",
        (*_RULE, _REVISION_TAG),
        (*_VERDICT, Field("change", "string", "", "why this revision was issued"), _ISSUED),
    ),
    Measurement(
        "exceedance",
        "One episode above a limit. Where a restatement moved its start, the point at the old one says superseded.",
        "start of the episode",
        (*_RULE, Tag("episode", "number of the episode in the record")),
        (
            Field("state", "string", "", "open, closed, withdrawn, superseded"),
            Field("open", "integer", "", "1 while it lasts, else 0"),
            Field("finding", "integer", "", "3 above by an indicative method, 4 exceeds, 5 beyond the mine's own"),
            Field("start", "integer", "ms", "its start, since 1970 UTC: alarms see values, not times of points"),
            Field("end", "integer", "ms", "its end, since 1970 UTC; none while open"),
            Field("peak", "float", "parameter", "value furthest beyond the threshold"),
            Field("peak_time", "integer", "ms", "when, since 1970 UTC"),
            Field("threshold", "float", "parameter", "in force at the start"),
            Field("minutes", "integer", "min", "minutes beyond the threshold"),
            Field("duration", "integer", "min", "from start to end; none while open"),
            _REVISION,
            Field("cause", "string", "", "cause, as entered"),
            Field("handling", "string", "", "handling, as entered"),
            _CLAUSE,
            Field("told", "string", "", "peak, rounded as people are told it"),
            Field("text_zh", "string", "", "station and limit in Chinese"),
            Field("text_en", "string", "", "station and limit in English"),
        ),
    ),
    Measurement(
        "limit",
        "The limit in force, for limit lines.",
        "start of each clock hour with readings",
        _RULE,
        (
            Field("low", "float", "parameter", "lower threshold"),
            Field("high", "float", "parameter", "upper threshold"),
            _CLAUSE,
        ),
    ),
    Measurement(
        "health",
        "A change of a channel's health.",
        "since when",
        _CHANNEL,
        (
            Field("state", "string", "", "good, silent, frozen, skewed, implausible, flooding"),
            Field("code", "integer", "", "0 good, 1 silent, 2 frozen, 3 skewed, 4 implausible, 5 flooding"),
            Field("detail", "string", "", "what it rests on"),
        ),
    ),
    Measurement(
        "ledger",
        "What a device sent on a day: received = stored + duplicate + rejected + late.",
        "local midnight at which the day of receipt begins",
        (_ENTERPRISE, _SITE, _DEVICE),
        (
            Field("messages", "integer", "", "messages received"),
            Field("received", "integer", "", "readings received"),
            Field("stored", "integer", "", "readings stored"),
            Field("duplicate", "integer", "", "repeats, conflicts included"),
            Field("conflict", "integer", "", "repeats with another value"),
            Field("rejected", "integer", "", "readings rejected"),
            Field("late", "integer", "", "readings later than the allowed lateness"),
            Field("reordered", "integer", "", "stored readings older than their channel's newest"),
            Field("missing", "integer", "", "message numbers passed over and not seen since"),
            Field("latency_mean", "float", "ms", "from measurement to receipt, over the stored readings"),
        ),
    ),
    Measurement(
        "sliding",
        "What a limit's sliding statistic did in a clock hour.",
        "start of the hour",
        _RULE,
        (
            Field("assessable", "integer", "min", "minutes that could be assessed"),
            Field("above", "integer", "min", "minutes beyond the threshold"),
            Field("worst", "float", "parameter", "value furthest from compliance"),
        ),
    ),
    Measurement(
        "rolling",
        "Rolling exceedance statistics: a span of full clock hours up to the point's time.",
        "end of the span",
        (*_RULE, Tag("span", "24h, 7d, 30d")),
        (
            Field("episodes", "integer", "", "episodes that lie in the span, in whole or in part"),
            Field("above", "integer", "min", "minutes beyond the threshold"),
            Field("longest", "integer", "min", "longest episode within the span"),
            Field("share", "float", "share, 0..1", "minutes beyond the threshold of those assessable"),
            Field("capture", "float", "share, 0..1", "minutes assessable of all"),
            Field("worst", "float", "parameter", "value furthest from compliance"),
        ),
    ),
    Measurement(
        "rolling_site",
        "The same of all legal limits of a mine together, each by its newest point of the two days before.",
        "end of the span; an hour in which a legal limit was followed",
        (_ENTERPRISE, _SITE, Tag("span", "24h, 7d, 30d")),
        (
            Field("episodes", "integer", "", "episodes that lie in the span, in whole or in part"),
            Field("above", "integer", "min", "minutes beyond a threshold, added up over the limits"),
            Field("share", "float", "share, 0..1", "the greatest of the limits"),
        ),
    ),
    Measurement(
        "wind_dust",
        "Dust and wind of an hour, for roses: PM10 at the boundary of a mine beside the wind there. Only where `hours` is 1.",
        "start of the hour",
        (_ENTERPRISE, _SITE, Tag("sector", "where the wind came from: 0 north, 1 north-east … 7, each 45° wide")),
        (
            Field(
                "hours",
                "integer",
                "",
                "1 if all of it is valid; 0, as all else, if a restatement took it out of this sector",
            ),
            Field("dust", "float", "ug/m3", "mean of the stations at the boundary"),
            Field("speed", "float", "m/s", "mean wind speed"),
            Field("north", "float", "m/s", "how much of it came from the north"),
            Field("east", "float", "m/s", "how much of it came from the east"),
        ),
    ),
    Measurement(
        "rejection",
        "What could not be taken. Site and device are left out where the registry does not know them.",
        "when it was received",
        (_ENTERPRISE, _SITE, _DEVICE, Tag("reason", "code of the reason, see payloads.md")),
        (
            Field("readings", "integer", "", "how many readings it stands for in the ledger"),
            Field("size", "integer", "bytes", "length of the payload"),
            Field("topic", "string", "", "topic it came under"),
            Field("detail", "string", "", "what was wrong and what would be right"),
        ),
        precision="ns",
    ),
    Measurement(
        "mark",
        "A statement about a period: blasting, maintenance and others.",
        "start of the period",
        (_ENTERPRISE, _SITE, _STATION, Tag("kind", "maintenance, calibration, stop, fault, blasting, weather")),
        (
            Field("end", "integer", "ms", "end of the period, since 1970 UTC"),
            Field("reason", "string", "", "why, as entered"),
            Field("author", "string", "", "who says so"),
            Field("parameter", "string", "", "id of the parameter; empty: all of the station"),
        ),
        precision="ns",
    ),
    Measurement(
        "place",
        "Where a station is, for maps.",
        "midnight UTC of a day on which the projection ran",
        (_ENTERPRISE, _SITE, _STATION),
        (
            Field("latitude", "float", "°", "WGS 84"),
            Field("longitude", "float", "°", "WGS 84"),
        ),
        sample=True,
    ),
    Measurement(
        "conclusion",
        "What a person is told of a mine: the conclusion from the last verdict on each legal limit, as tiles and reports tell it.",
        "end of the newest hourly figure of the record",
        (
            _ENTERPRISE,
            _SITE,
            Tag("theme", "theme of the limits, such as dust"),
            Tag("addressee", "emission: what the mine answers for; quality: the air or noise around it"),
        ),
        (
            Field("finding", "integer", "", _FINDING),
            Field("reason", "string", "", "code of the most frequent reason why it is indicative, or not assessable"),
            Field("limits", "integer", "", "limits that it rests on"),
            Field("running", "integer", "", "exceedances that last"),
        ),
        sample=True,
    ),
    Measurement(
        "headroom",
        "How the window of a limit that is under way stands: what the rest of it may average at most.",
        "end of the newest hourly figure of the record",
        _RULE,
        (
            Field("state", "integer", "", "0 open, 1 not assessable any more, 2 exceeds whatever comes"),
            Field("most", "float", "parameter", "what the hours to come may average at most; 0 unless open"),
            Field("hours", "integer", "h", "hours to come"),
            Field("missing", "integer", "h", "hours gone by without a valid figure"),
            Field("end", "integer", "ms", "end of the window, since 1970 UTC"),
        ),
        sample=True,
    ),
    Measurement(
        "worker",
        "What the collecting process says of itself; in the district's bucket only.",
        "when it said so",
        (Tag("name", "name of the process"),),
        (
            Field("connected", "integer", "", "1 while connected to the broker, else 0"),
            Field("uptime", "float", "s", "time since its start"),
            Field("messages", "integer", "", "messages since its start"),
            Field("bytes", "integer", "bytes", "payload since its start"),
            Field("batches", "integer", "", "commits since its start"),
            Field("connections", "integer", "", "connections to the broker since its start"),
            Field("failures", "integer", "", "batches that could not be committed at first"),
            Field("retries", "integer", "", "attempts to commit them again"),
            Field("unacknowledged", "integer", "", "messages that wait for their commit"),
            Field("commit_p50", "float", "ms", "median duration of the newest thousand commits"),
            Field("commit_p99", "float", "ms", "99th percentile of the same"),
        ),
        sample=True,
    ),
    Measurement(
        "projection",
        "How far a bucket is behind the record; each bucket holds its own, the district's holds all.",
        "when it was sampled",
        (Tag("bucket", "name of the bucket"),),
        (
            Field("lag", "float", "s", "age of the oldest row of the record not yet written"),
            Field("backlog", "integer", "", "rows of the record not yet written"),
            Field("written", "integer", "", "points written since the bucket was last made anew"),
            Field("refused", "integer", "", "points that InfluxDB refused for good since then"),
            Field("failures", "integer", "", "writes that failed since then and were tried again"),
        ),
        sample=True,
    ),
)
"""All measurements, in the order of the page."""

BY_NAME: Final = {measurement.name: measurement for measurement in MEASUREMENTS}


def schema_tables(measurements: Iterable[Measurement]) -> str:
    """The measurements in Markdown; ``docs/influx.md`` holds it."""
    return "\n".join(_section(m) for m in measurements)


def _section(measurement: Measurement) -> str:
    lines = [
        f"### `{measurement.name}`",
        "",
        f"{measurement.text} Time: {measurement.time}{', ns' if measurement.precision == 'ns' else ''}.",
        "",
        "| | | type | unit | meaning |",
        "| --- | --- | --- | --- | --- |",
        *(f"| tag | `{t.name}` | string | | {t.text} |" for t in measurement.tags),
        *(f"| field | `{f.name}` | {f.kind} | {f.unit} | {f.text} |" for f in measurement.fields),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(schema_tables(MEASUREMENTS))
