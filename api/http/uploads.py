"""Loggers' files that people hand in: what a file becomes, and its way into the record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from greenmine.api.accounts.caller import Caller, CallerOf
from greenmine.api.http import arguments
from greenmine.api.http.attachments import named
from greenmine.api.http.audit import AuditOf
from greenmine.api.http.bodies import body
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, Given, NothingGiven, QueriesOf, ScopeOf, visible_site
from greenmine.api.http.exports import answer
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import JSON
from greenmine.api.http.schemas import listed, single, taking_file
from greenmine.evidence.bounded import Bounds, BoundsError, bounded
from greenmine.record.reader import Queries, Row, Scope
from greenmine.record.uploads import keep, packed
from greenmine.registry import Registry
from greenmine.tables import build
from greenmine.times import local, now
from greenmine.wording.sentences import chinese_sentence

if TYPE_CHECKING:  # loaded with the first file: it needs Arrow, and a web server that nobody asks for it does without
    from greenmine.collector.files import StationFile

router = APIRouter()

WAITING: Final = 20
"""Most files that may wait at a site."""
_UNPACKED: Final = 10
"""So many times as long as the largest file may be what is packed in one."""
_SHOWN: Final = 5
"""Readings of each parameter that a preview shows."""
_FORMS: Final = {
    "units": "PARAMETER=UNIT is needed, such as pm10=mg/m3", "columns": "PARAMETER=COLUMN is needed, such as pm10=Dust",
    "where": "COLUMN=TEXT is needed, such as station=3", "marks": "MARK=FLAG is needed, such as *=D",
}  # fmt: skip
_SAID: Final = 1000
"""Signs of a sentence about a file: it may hold whatever the file does."""
_BRIEF: Final = Bounds(memory=1e9, seconds=3.0)
"""What reading one file may take: nearly all take less."""
_BOUNDS: Final = Bounds(memory=2e9, seconds=30.0)
"""What it may take at the second attempt, behind others that took more than that."""


class FirstReading(msgspec.Struct, frozen=True):
    """One of the first readings of a file, converted."""

    time: datetime
    value: float | None


class ReadParameter(msgspec.Struct, frozen=True):
    """What of a file becomes one parameter; ``stated`` is the unit that file or owner state, ``unit`` that of the record."""

    parameter: str
    column: str
    stated: str | None
    unit: str
    interval: float | None
    count: int
    missing: int
    first: list[FirstReading]


class UploadPreview(msgspec.Struct, frozen=True):
    """What a file would become; nothing is stored. ``zone`` is the one that the file states, else that of the mine."""

    site: str
    station: str
    name: str
    header: list[str]
    zone: str
    start: datetime
    end: datetime
    readings: int
    already: int
    conflicting: int
    parameters: list[ReadParameter]
    notes: list[str]
    notes_zh: list[str]


class UploadItem(msgspec.Struct, frozen=True):
    """A file that was handed in; the worker takes its readings in and counts what became of them.

    ``device`` is the source mark of its readings, ``digest`` the SHA-256 of the file as it came.
    """

    id: int
    site: str
    station: str
    device: str
    author: str
    made: datetime
    name: str
    size: int
    digest: str
    start: datetime
    end: datetime
    readings: int
    state: str
    answer: str
    answer_zh: str
    done: int
    stored: int
    repeated: int
    conflicting: int
    late: int
    answered: datetime | None


def upload_item(registry: Registry, row: Row) -> UploadItem:
    """A file that was handed in, as it is shown."""
    zone = registry.site(row.site).zone
    return UploadItem(
        row.id, row.site, row.station, f"upload/{row.id}", row.author, local(row.made, zone), row.name, row.size, row.digest,
        local(row.start, zone), local(row.end, zone), row.readings, row.state,
        row.answer, chinese_sentence(row.answer) or row.answer, row.done, row.stored, row.repeated,
        row.conflicting, row.late, None if row.answered is None else local(row.answered, zone),
    )  # fmt: skip


@router.post("/api/v1/uploads/preview", responses=single(UploadPreview), openapi_extra=taking_file())
async def preview_upload(
    given: Given[arguments.UploadArguments], request: Request, context: ContextOf, caller: CallerOf
) -> Response:
    """Show what a logger's file becomes: the body is its content. Nothing is stored."""
    _checked(context, caller, given)
    content = await body(request, context.settings.upload_bytes)
    found = await _read(context, given, content)
    return JSON(await run_in_threadpool(_preview, context, caller.scope, given, found))


@router.post("/api/v1/uploads", status_code=202, responses=single(UploadItem, 202), openapi_extra=taking_file())
async def hand_in(
    given: Given[arguments.UploadArguments], request: Request, context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Hand in a logger's file of a station: the body is its content.

    The worker takes its readings in by the ordinary path, within seconds, with the source mark ``upload/NUMBER``; ``Location``
    tells how that goes. What is stored already stays as it is.
    """
    _checked(context, caller, given)
    content = await body(request, context.settings.upload_bytes)
    found = await _read(context, given, content)
    item = await run_in_threadpool(_add, context, caller, given, content, found)
    audit.add(
        "upload", site=item.site, subject=f"upload {item.id}", station=item.station, file=item.name, digest=item.digest,
        readings=item.readings,
    )  # fmt: skip
    response = JSON(item, 202)
    response.headers["Location"] = f"/api/v1/uploads/{item.id}"
    return response


@router.get("/api/v1/uploads", responses=listed(UploadItem, files=True))
def uploads(given: Given[arguments.SiteListing], request: Request, context: ContextOf, scope: ScopeOf) -> Response:
    """Files that were handed in, newest first, with what became of them."""
    zone = "UTC" if given.site is None else visible_site(context.registry, scope, given.site).zone

    def page(queries: Queries, cursor: str | None, size: int) -> tuple[list[Any], str | None]:
        before = arguments.number_of(cursor)
        rows = queries.uploads(scope, site=given.site, limit=size + 1, before=before)
        items = [upload_item(context.registry, row) for row in rows[:size]]
        return items, str(rows[size - 1].id) if len(rows) > size else None

    return answer(request, context, scope, given, "uploads", UploadItem, page, Queries.uploads_version, zone)


@router.get("/api/v1/uploads/{number}", responses=single(UploadItem))
def handed_in(number: int, _: NothingGiven, scope: ScopeOf, queries: QueriesOf) -> Response:
    """What became of a file that was handed in."""
    rows = queries.uploads(scope, limit=1, number=number) if 0 <= number < 1 << 62 else []
    if not rows:
        raise Problem(404, f"There is no upload {number}; /api/v1/uploads lists them.")
    return JSON(upload_item(queries.registry, rows[0]))


def _checked(context: Context, caller: Caller, given: arguments.UploadArguments) -> None:
    site = visible_site(context.registry, caller.scope, given.site)
    if not caller.may_act(site.id):
        raise Problem(403, f"{caller.name} may not hand in files at {site.id!r}.")
    if given.station not in {station.id for station in site.stations}:
        raise Problem(404, f"There is no station {given.station!r} at {site.id!r}; /api/v1/stations lists them.")
    named(given.name)


async def _read(context: Context, given: arguments.UploadArguments, content: bytes) -> StationFile:
    """Read a file in a process that is ended where it takes too much.

    One brief attempt and one long one are made at a time, for the enterprise that had least of it: who sends files that take
    long waits for their own, and an ordinary file for one brief attempt.

    Raises
    ------
    Problem
        400 with what was found and which field settles it, if it cannot be read as it is; 429 if too many of the enterprise wait.
    """
    owner = context.registry.site(given.site).enterprise
    failed = BoundsError("")
    for turns, bounds in ((context.brief_reading, _BRIEF), (context.long_reading, _BOUNDS)):
        try:
            async with turns.of(owner):
                return await run_in_threadpool(_read_within, context, given, content, bounds)
        except BoundsError as error:
            failed = error
            if not error.bound:  # it broke down, and would again
                break
    raise Problem(400, f"{given.name}: reading it {failed}: split it, or export it anew as CSV")


def _read_within(context: Context, given: arguments.UploadArguments, content: bytes, bounds: Bounds) -> StationFile:
    from greenmine.collector.files import Description, read_content  # noqa: PLC0415 -- needs Arrow

    try:
        faults: list[str] = []
        table = {key: value for key, value in _description(given).items() if value not in (None, "", {})}
        said = build(Description, table, "fields", faults)
        if said is None or (faults := [*faults, *said.faults("fields")]):
            raise ValueError("; ".join(faults))  # noqa: TRY301 -- told as all the others are
        columns, units = _pairs("columns", given.columns), _pairs("units", given.units)
        most = _UNPACKED * context.settings.upload_bytes
        place = given.site, given.station
        found = bounded(
            read_content,
            (content, Path(given.name).suffix, most, context.registry, place, said, columns, units),
            {},
            bounds,
            lambda *_: None,
            ("greenmine.collector.files",),
        )
    except ValueError as error:
        raise Problem(400, f"{given.name}: {_cut(' '.join(str(error).split()))}") from None
    if not len(found.readings):
        raise Problem(400, f"{given.name}: no row has a time and a value")
    if (latest := int(found.readings.time.max())) > now():
        raise Problem(
            400, f"{given.name}: the last reading, {local(latest, 'UTC'):%Y-%m-%dT%H:%M:%SZ}, is of the future"
        )
    return found


def _description(given: arguments.UploadArguments) -> dict[str, Any]:
    """What somebody says of a file, by the names of a description."""
    missing = [] if given.missing == "none" else given.missing.split(",")
    return {
        "zone": given.zone, "stamps": given.stamps, "epoch": given.epoch, "time": [given.time] if given.time else None,
        "time_format": given.time_format, "missing": missing if given.missing else None, "sheet": given.sheet,
        "where": _pairs("where", given.where), "marks": _pairs("marks", given.marks), "tolerate": given.tolerate,
        "total": given.total and given.total == "yes", "detection_limit": given.detection_limit,
        "decimal": {"point": ".", "comma": ",", None: None}[given.decimal], "delimiter": given.delimiter,
        "encoding": given.encoding,
    }  # fmt: skip


def _cut(sentence: str) -> str:
    return sentence if len(sentence) <= _SAID else f"{sentence[:_SAID]} …"


def _pairs(field: str, text: str) -> dict[str, str]:
    """Parts such as ``pm10=mg/m3`` between commas; the last sign of equality parts a mark from its flag."""
    pairs = [part.rpartition("=") if field == "marks" else part.partition("=") for part in text.split(",")]
    pairs = [(name, sign, value) for name, sign, value in pairs if name.strip() or value.strip()]
    if not all(name.strip() and sign and value.strip() for name, sign, value in pairs):
        raise ValueError(f"{field}: {_FORMS[field]}, with commas between several")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _held(queries: Queries, scope: Scope, found: StationFile) -> tuple[int, int]:
    """How many of the instants are stored already, and how many of these with the same value."""
    already = same = 0
    for index in np.unique(found.readings.channel).tolist():
        mine = found.readings.take(found.readings.channel == index)
        key = queries.registry.channels[index].key
        rows = queries.readings(scope, key, int(mine.time.min()), int(mine.time.max()) + 1)
        if len(rows):
            place = np.minimum(np.searchsorted(rows["time"], mine.time), len(rows) - 1)
            hit = rows["time"][place] == mine.time
            already += int(np.count_nonzero(hit))
            same += int(np.count_nonzero(hit & (rows["value"][place] == mine.value)))
    return already, same


def _preview(context: Context, scope: Scope, given: arguments.UploadArguments, found: StationFile) -> UploadPreview:
    readings, site = found.readings, context.registry.site(given.site)
    notes = [_cut(note) for note in found.notes]
    with context.record.queries() as queries:
        already, same = _held(queries, scope, found)
    parameters = [
        ReadParameter(
            one.parameter.id,
            one.column,
            one.unit,
            one.parameter.unit,
            None if one.interval is None else one.interval / 1000,
            int(np.count_nonzero(np.isfinite(one.value))),
            int(np.count_nonzero(~np.isfinite(one.value))),
            [
                FirstReading(local(time, site.zone), None if value != value else value)  # noqa: PLR0124 -- NaN
                for time, value in zip(one.time[:_SHOWN].tolist(), one.value[:_SHOWN].tolist(), strict=True)
            ],
        )
        for one in found.series
    ]
    return UploadPreview(
        given.site, given.station, given.name, list(found.columns), found.series[0].zone or site.zone,
        local(int(readings.time.min()), site.zone), local(int(readings.time.max()), site.zone), len(readings), same, already - same,
        parameters, notes, [chinese_sentence(note) or note for note in notes],
    )  # fmt: skip


def _add(
    context: Context, caller: Caller, given: arguments.UploadArguments, content: bytes, found: StationFile
) -> UploadItem:
    folder, readings = context.settings.uploads, found.readings
    said: Mapping[str, Any] = given.model_dump(exclude_defaults=True, exclude={"site", "station", "name"})
    row = {
        "site": given.site, "station": given.station, "author": caller.name, "made": now(), "name": named(given.name),
        "size": len(content), "digest": keep(folder, content), "content": keep(folder, packed(readings, context.registry)),
        "readings": len(readings), "start": int(readings.time.min()), "end": int(readings.time.max()),
        "said": msgspec.json.encode(said).decode(),
    }  # fmt: skip
    with context.record.contributions(given.site) as contributions:
        if contributions.uploads_waiting(given.site) >= WAITING:
            raise Problem(429, f"{WAITING} files are waiting at {given.site!r} already; is the worker running?")
        return upload_item(context.registry, contributions.hand_in(row))
