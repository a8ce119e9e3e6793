"""Reports out of the record: which have changed, and what they say now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from greenmine.collector.hj212.equipment import write_state
from greenmine.collector.hj212.message import Value
from greenmine.collector.hj212.rules import rule
from greenmine.errors import StoreError
from greenmine.processing.levels import day_night_level
from greenmine.processing.series import summarise
from greenmine.readings import NORMAL
from greenmine.record import schema
from greenmine.record.blocks import COLUMNS, Blocks
from greenmine.record.follower import ends
from greenmine.record.record import last_number
from greenmine.record.rows import HOUR, ROW
from greenmine.times import day_end, local, midnight
from greenmine.uplink.outbox import UplinkCursor
from greenmine.uplink.plan import Command, UplinkColumn, UplinkRoute

DAY: Final = 24 * HOUR
_BLOCKS: Final = 500
"""Blocks of readings that are looked at together."""
_TRANSACTIONS: Final = 200
"""Transactions with figures that are looked at together."""
_ABNORMAL: Final = "D"
"""Flag of a figure that rests on too little, and of a reading that the instrument calls normal and that cannot be."""
_EXCEEDED: Final = (10, 50, 90)
"""Levels of sound by the share of the time in which they are exceeded [%]: those that the record has."""
_WINDOWS: Final[Mapping[str, Command]] = {"hour": "2061", "day": "2031", "daytime": "2031", "nighttime": "2031"}


@dataclass(frozen=True, slots=True)
class News:
    """What has changed since a cursor."""

    reports: list[tuple[str, int, int]]
    """Command, DataTime [ms UTC], and from when on it can be made [ms UTC]."""
    cursor: UplinkCursor
    """Up to where."""
    more: bool
    """Whether there is more behind the new cursor."""


class _Content(NamedTuple):
    """Number, channel and content of a block."""

    id: int
    channel: int
    data: bytes


class UplinkFigures:
    """Reader of the record for the uplink.

    Parameters
    ----------
    engine : Engine
        The record, read-only.
    blocks : Blocks, optional
        Tells the content of blocks that were pruned.

    Raises
    ------
    StoreError
        By every method, when the record cannot be read.
    """

    def __init__(self, engine: sa.Engine, blocks: Blocks | None = None) -> None:
        self._engine = engine
        self._blocks = Blocks() if blocks is None else blocks
        self._numbers: dict[str, int] = {}

    def start(self, since: int | None, now: int) -> UplinkCursor:
        """Where a new feed begins: at ``since`` [ms UTC], or with what comes from now on."""
        if since is not None:
            return UplinkCursor(since=since, block=0, serial=0)
        block, serial = self._newest()
        return UplinkCursor(since=now, block=block, serial=serial)

    def news(self, route: UplinkRoute, cursor: UplinkCursor) -> News:
        """Reports of a route that have changed since its cursor, at most as many as some hundreds of blocks touch."""
        reports: dict[tuple[str, int], int] = {}
        newest_block, newest_serial = self._newest()
        block, more_blocks = self._readings_since(route, cursor, newest_block, reports)
        serial, more_figures = self._statistics_since(route, cursor, newest_serial, reports)
        reached = UplinkCursor(since=cursor.since, block=block, serial=serial)
        return News([(*key, due) for key, due in reports.items()], reached, more_blocks or more_figures)

    def _readings_since(
        self, route: UplinkRoute, cursor: UplinkCursor, last: int, reports: dict[tuple[str, int], int]
    ) -> tuple[int, bool]:
        """Note the reports of instants and minutes; up to which block they are, and whether there is more."""
        table = schema.reading_block.c
        blocks = self._contents(
            sa.select(*COLUMNS)
            # The sum keeps the database from going by the index on channels, which knows nothing of what is new.
            .where(table.id > cursor.block, table.id <= last, (table.channel + 0).in_(self._channels(route.columns)))
            .order_by(table.id)
            .limit(_BLOCKS)
        )
        states = set(self._channels(route.columns_of("2021")))
        for block in blocks:
            times = np.frombuffer(block.data, ROW)["time"]
            instants = "2021" if block.channel in states else "2011"
            if instants in route.commands:
                _touch(reports, instants, times, route.rtd, cursor.since, route.wait)
            if "2051" in route.commands and block.channel not in states:
                _touch(reports, "2051", times, route.minutes, cursor.since, route.wait + route.minutes)
        more = len(blocks) == _BLOCKS
        return (blocks[-1].id if more else last), more

    def _statistics_since(
        self, route: UplinkRoute, cursor: UplinkCursor, last: int, reports: dict[tuple[str, int], int]
    ) -> tuple[int, bool]:
        """Note the reports of hours and days; up to which transaction they are, and whether there is more."""
        table = schema.statistic.c
        numbers = self._channels(route.columns_of("2061"))
        new = (table.serial > cursor.serial, table.serial <= last, (table.channel + 0).in_(numbers))
        serials = self._rows(sa.select(table.serial).where(*new).distinct().order_by(table.serial).limit(_TRANSACTIONS))
        more = len(serials) == _TRANSACTIONS
        end = serials[-1].serial if more else last
        figures = sa.select(table.window, table.start, table.end).where(*new, table.serial <= end)
        for row in self._rows(figures.where(table.window.in_(_WINDOWS))):
            command = _WINDOWS[row.window]
            begin = row.start if command == "2061" else midnight(local(row.start, route.zone).date(), route.zone)
            if command in route.commands and begin >= cursor.since:
                due = row.end if row.window in {"hour", "day"} else day_end(begin, route.zone)
                reports[command, begin] = due + route.wait
        return end, more

    def report(self, route: UplinkRoute, command: str, start: int) -> list[Value]:
        """What a report says now; empty if there is nothing to say."""
        if command == "2011":
            return self._instant(route, start)
        if command == "2021":
            return self._states(route, start)
        if command == "2051":
            return self._minutes(route, start)
        return self._statistics(route, command, start)

    def starts(self, route: UplinkRoute, command: str, begin: int, end: int) -> Iterator[int]:
        """DataTimes from ``begin`` to ``end`` [ms UTC], both included, at which there is something to report."""
        numbers = self._channels(route.columns_of(command))
        if command in {"2011", "2021", "2051"}:
            step = route.minutes if command == "2051" else route.rtd
            table = schema.reading_block.c
            first = self._rows(sa.select(sa.func.min(table.hour).label("hour")).where(table.channel.in_(numbers)))[0]
            if first.hour is None:
                return
            for hour in range(max(begin // HOUR, first.hour - 1), end // HOUR + 1):
                blocks = sa.select(*COLUMNS).where(table.channel.in_(numbers), table.hour == hour)
                times = [np.frombuffer(block.data, ROW)["time"] for block in self._contents(blocks)]
                grid = np.unique(np.concatenate(times) // step * step) if times else np.empty(0, np.int64)
                yield from grid[(grid >= begin) & (grid <= end)].tolist()
            return
        figures = schema.statistic.c
        window = "hour" if command == "2061" else "day"
        found = (
            sa.select(figures.start)
            .where(figures.channel.in_(numbers), figures.window == window, figures.start >= begin, figures.start <= end)
            .distinct()
        )
        for row in self._rows(found.order_by(figures.start)):
            yield row.start

    def _instant(self, route: UplinkRoute, start: int) -> list[Value]:
        """The first reading of each factor from ``start`` on."""
        found: list[Value] = []
        for column, rows in self._readings(route.columns_of("2011"), start, start + route.rtd):
            if not len(rows):
                continue
            row = rows[0]
            value = float(_calibrated(column, rows[:1])[0])
            flag = chr(int(row["flag"]))
            if flag == "N" and row["quality"]:
                flag = _ABNORMAL
            told = None if column.noise and flag == "N" else flag
            found += _told(column, column.instant, {"Rtd": value}, told)
        return found

    def _states(self, route: UplinkRoute, start: int) -> list[Value]:
        """The first state of each equipment from ``start`` on."""
        found: list[Value] = []
        for column, rows in self._readings(route.columns_of("2021"), start, start + route.rtd):
            if len(rows):
                state = write_state(float(rows[0]["value"]), chr(int(rows[0]["flag"])))
                if state is not None:
                    found.append(Value(column.instant, "RS", float(state), str(state)))
        return found

    def _minutes(self, route: UplinkRoute, start: int) -> list[Value]:
        end = start + route.minutes
        window = np.array([start], np.int64), np.array([end], np.int64)
        found: list[Value] = []
        for column, rows in self._readings(route.columns_of("2051"), start, end):
            if not len(rows):
                continue
            normal = (rows["flag"] == NORMAL) & (rows["quality"] == 0)
            used = rows[normal]
            due = max(len(rows), route.minutes // column.channel.interval)
            water = column.channel.parameter.theme == "water"
            valid = bool(normal.all()) if water else len(used) >= rule("normal-share") * due
            summary = summarise(
                used["time"],
                _calibrated(column, used),
                averaging=column.channel.parameter.averaging,
                windows=window,
                percentiles=tuple(100.0 - share for share in _EXCEEDED),
            )
            levels = [float(level[0]) for level in summary.percentiles]
            found += _figures(
                column,
                float(summary.mean[0]),
                float(summary.minimum[0]),
                float(summary.maximum[0]),
                levels,
                valid=valid and len(used) > 0,
            )
        return found

    def _statistics(self, route: UplinkRoute, command: str, start: int) -> list[Value]:
        columns = route.columns_of(command)
        figures = schema.statistic.c
        windows = ["hour"] if command == "2061" else ["day", "daytime", "nighttime"]
        end = start + (1 if command == "2061" else DAY)
        rows = self._mappings(
            sa.select(schema.statistic).where(
                figures.latest,
                figures.channel.in_(self._channels(columns)),
                figures.window.in_(windows),
                figures.start >= start,
                figures.start < end,
            )
        )
        by_key = {(row["channel"], row["window"]): row for row in rows}
        found: list[Value] = []
        for column in columns:
            number = self._numbers.get(column.channel.key)
            row = by_key.get((number, windows[0]))
            if column.noise and command == "2061" and route.sender.version == 2025:
                continue  # HJ 212-2025 has no hourly noise
            if row is not None:
                levels = [np.nan if row[name] is None else float(row[name]) for name in ("l10", "l50", "l90")]
                mean, low, high = (np.nan if row[n] is None else float(row[n]) for n in ("mean", "minimum", "maximum"))
                found += _figures(column, mean, low, high, levels, valid=row["valid"])
            if not column.noise or not column.channel.parameter.is_level:
                continue
            parts = {window: by_key.get((number, window)) for window in ("daytime", "nighttime")}
            told = {window: row["mean"] for window, row in parts.items() if row is not None and row["valid"]}
            found += _day_and_night(column, told.get("daytime"), told.get("nighttime"), route.day_hours)
        return found

    def _readings(
        self, columns: Collection[UplinkColumn], start: int, end: int
    ) -> Iterator[tuple[UplinkColumn, NDArray[np.void]]]:
        """Stored readings of each column between two instants, half-open, sorted by time."""
        numbers = self._channels(columns)
        table = schema.reading_block.c
        hours = range(start // HOUR, (end - 1) // HOUR + 1)
        blocks = self._contents(sa.select(*COLUMNS).where(table.channel.in_(numbers), table.hour.in_(hours)))
        for column in columns:
            number = self._numbers.get(column.channel.key)
            rows = np.frombuffer(b"".join(block.data for block in blocks if block.channel == number), ROW)
            rows = rows[(rows["time"] >= start) & (rows["time"] < end)]
            yield column, rows[np.argsort(rows["time"], kind="stable")]

    def _channels(self, columns: Iterable[UplinkColumn]) -> list[int]:
        """Numbers of the channels in the record; one that never had data has none yet."""
        if any(column.channel.key not in self._numbers for column in columns):
            self._numbers = {row.key: row.id for row in self._rows(sa.select(schema.channel))}
        found = (self._numbers.get(column.channel.key) for column in columns)
        return [number for number in found if number is not None]

    def _newest(self) -> tuple[int, int]:
        """Number of the newest block of readings, and of the newest transaction."""
        try:
            with ends(self._engine) as connection:
                return connection.scalar(sa.select(sa.func.max(schema.reading_block.c.id))) or 0, last_number(
                    connection
                )
        except sa.exc.DBAPIError as error:
            raise StoreError(f"the record cannot be read: {error.orig}") from error

    def _contents(self, statement: sa.Select[Any]) -> list[_Content]:
        try:
            with self._engine.connect() as connection:
                found = connection.execute(statement).all()
                return [_Content(row.id, row.channel, self._blocks.data(connection, row)) for row in found]
        except sa.exc.DBAPIError as error:
            raise StoreError(f"the record cannot be read: {error.orig}") from error

    def _rows(self, statement: sa.Select[Any]) -> list[Any]:
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(statement).all())
        except sa.exc.DBAPIError as error:
            raise StoreError(f"the record cannot be read: {error.orig}") from error

    def _mappings(self, statement: sa.Select[Any]) -> list[Mapping[str, Any]]:
        return [row._mapping for row in self._rows(statement)]  # noqa: SLF001 - SQLAlchemy's public name for it


def _touch(
    reports: dict[tuple[str, int], int], command: str, times: NDArray[np.int64], step: int, since: int, after: int
) -> None:
    for start in np.unique(times // step * step).tolist():
        if start >= since:
            reports[command, start] = start + after


def _calibrated(column: UplinkColumn, rows: NDArray[np.void]) -> NDArray[np.float64]:
    """Values after the calibration in force, as the statistics have them."""
    known = column.calibration
    step = np.searchsorted(known.since, rows["time"], side="right")
    return np.asarray(rows["value"] * known.slope[step] + known.offset[step])


def _figures(
    column: UplinkColumn, mean: float, low: float, high: float, levels: list[float], *, valid: bool
) -> Iterator[Value]:
    """Figures of a period in the form of the factor's kind. Of noise, which has no data flags, only valid ones."""
    parameter = column.channel.parameter
    if not column.noise:
        figures = {"Cou": mean} if parameter.is_total else {"Min": low, "Avg": mean, "Max": high}
        yield from _told(column, column.code, figures, "N" if valid else _ABNORMAL)
        return
    if not valid or not np.isfinite(mean):
        return
    yield _number(column.code, "Data", (mean - column.offset) / column.scale, column.decimals)
    if parameter.is_level:
        for share, value in zip(_EXCEEDED, levels, strict=True):
            if np.isfinite(value):
                yield _number(f"L{share}", "Data", (value - column.offset) / column.scale, column.decimals)


def _day_and_night(column: UplinkColumn, day: float | None, night: float | None, day_hours: int) -> Iterator[Value]:
    """Levels of the day hours, of the night, and of both with the weight of the night, where they are known."""
    both = None if day is None or night is None else day_night_level(day, night, day_hours=day_hours)
    for code, kind, level in (("Ld", "DayData", day), ("Ln", "NightData", night), ("Ldn", "Data", both)):
        if level is not None:
            yield _number(code, kind, (level - column.offset) / column.scale, column.decimals)


def _told(column: UplinkColumn, code: str, figures: Mapping[str, float], flag: str | None) -> Iterator[Value]:
    """Values of a factor in the unit that is sent; where there is none, its data flag alone says why."""
    finite = {kind: (value - column.offset) / column.scale for kind, value in figures.items() if np.isfinite(value)}
    for kind, value in finite.items():
        yield _number(code, kind, value, column.decimals, flag)
    if not finite and flag is not None:
        yield Value(code, None, None, "", flag, "absent")


def _number(code: str, kind: str, value: float, decimals: int, flag: str | None = None) -> Value:
    rounded = round(value, decimals) + 0.0  # no minus zero
    return Value(code, kind, rounded, f"{rounded:.{decimals}f}", flag)
