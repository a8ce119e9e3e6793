"""What data loggers deliver, in the record: readings through the pipeline, and beside them reports, gaps, information."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from greenmine.collector.hj212.server.delivery import Delivery, Gap
from greenmine.processing.gaps import MINUTE, Span, minutes, missing, union, within, without
from greenmine.record import reported, schema
from greenmine.record.rows import HOUR, FrameRow, GapRow, InformationRow
from greenmine.record.writer import Beside, Pipeline
from greenmine.registry import Channel

_DAY: Final = 24 * HOUR
_TOLERANCE: Final = 2 * MINUTE
"""No gap is shorter, however often readings come; nor shorter than three intervals."""
_AT_ONCE: Final = 50
"""Gaps of a logger that are returned at a time."""


class LoggerRecord:
    """Keeps what loggers deliver. Used in the one thread that writes the record; methods may raise ``StoreError``.

    Parameters
    ----------
    pipeline : Pipeline
        Takes the readings.
    catchup_hours : int
        How far back gaps are looked for.
    frame_days : int
        How long frames are kept.
    """

    def __init__(self, pipeline: Pipeline, *, catchup_hours: int, frame_days: int) -> None:
        self._pipeline = pipeline
        self._record = pipeline.record
        self._look_back = catchup_hours * HOUR
        self._frame_days = frame_days

    def commit(self, delivery: Delivery, now: int, beside: Beside | None = None) -> None:
        """Store all of a delivery, and what goes with it beside, or nothing; the clock is ``now`` [ms UTC]."""
        self._pipeline.commit(delivery.batch, now, partial(self._store, delivery, beside))

    def _store(self, delivery: Delivery, beside: Beside | None, connection: sa.Connection, serial: int) -> None:
        record = self._record
        if beside is not None:
            beside(connection, serial)
        reported.store(record, connection, delivery.reports, serial)
        record.insert(
            connection,
            schema.information,
            [
                InformationRow(
                    received=i.received, site=i.site, device=i.device, command=i.command, time=i.time, content=i.content
                )
                for i in delivery.information
            ],
        )
        record.insert(
            connection,
            schema.frame,
            [
                FrameRow(
                    received=f.received,
                    site=f.site,
                    device=f.device,
                    data=f.data,
                    sha256=hashlib.sha256(f.data).digest(),
                )
                for f in delivery.frames
            ],
        )

    def look_after(self, now: int) -> None:
        """What the clock asks for: compare reports with our figures, and drop frames that were kept long enough."""
        reported.compare(self._pipeline, now)
        old = schema.frame.c.received < now - self._frame_days * _DAY
        if self._record.rows(sa.select(schema.frame.c.id).where(old).limit(1)):
            with self._record.writing() as connection:
                connection.execute(sa.delete(schema.frame).where(old))

    def gaps(self, site: str, device: str, now: int) -> list[Gap]:
        """Look for gaps of a logger, note them, and return those that are open, oldest first.

        What is missing behind its newest reading is no gap yet: it may be on its way.
        """
        start = now // MINUTE * MINUTE - self._look_back
        end = self._newest(site, device, start, now) // MINUTE * MINUTE
        c = schema.gap.c
        mine = (c.site == site, c.device == device, c.end > start)
        known = self._record.rows(sa.select(schema.gap).where(*mine).order_by(c.start))
        lost = self._lost(site, device, start, end)[1] if end > start else []
        new = without(lost, [(row["start"], row["end"]) for row in known])
        new = [span for span in new if span[1] - span[0] >= _TOLERANCE]
        with self._record.transaction() as connection:
            serial = self._record.serial(connection)
            for row in known:
                if row["state"] == "open" and not within(lost, row["start"], row["end"]):
                    self._note(
                        connection, Gap(site, device, row["start"], row["end"], row["asked"]), now, serial, final=True
                    )
            found = [
                GapRow(
                    site=site, device=device, start=first, end=last, found=now, state="open", filled=0, source="", asked=0,
                    changed=now, serial=serial,
                )
                for first, last in new
            ]  # fmt: skip
            self._record.insert(connection, schema.gap, found)
        still = self._record.rows(
            sa.select(schema.gap).where(*mine, c.state == "open").order_by(c.start).limit(_AT_ONCE)
        )
        return [Gap(site, device, row["start"], row["end"], row["asked"]) for row in still]

    def settle(self, gap: Gap, now: int, *, final: bool) -> None:
        """Note that a gap was asked for once more, and what has come; ``final``: asking again is no use."""
        asked = Gap(gap.site, gap.device, gap.start, gap.end, gap.asked + 1)
        with self._record.transaction() as connection:
            self._note(connection, asked, now, self._record.serial(connection), final=final)

    def _note(self, connection: sa.Connection, gap: Gap, now: int, serial: int, *, final: bool) -> None:
        of_readings, of_all = (
            minutes(within(spans, gap.start, gap.end)) for spans in self._lost(gap.site, gap.device, gap.start, gap.end)
        )
        length = (gap.end - gap.start) // MINUTE
        by_readings, by_reports = length - of_readings, of_readings - of_all
        filled = length - of_all
        state = "filled" if not of_all else "open" if not final else "partly" if filled else "unfilled"
        source = "" if not filled else "readings" if by_readings >= by_reports else "reported"
        c = schema.gap.c
        connection.execute(
            sa.update(schema.gap)
            .where(c.site == gap.site, c.device == gap.device, c.start == gap.start)
            .values(state=state, filled=filled, source=source, asked=gap.asked, changed=now, serial=serial)
        )

    def _lost(self, site: str, device: str, start: int, end: int) -> tuple[list[Span], list[Span]]:
        """What is missing of readings, and of readings and reported minutes together, in any channel of a logger."""
        of_readings: list[Span] = []
        of_all: list[Span] = []
        for channel in self._pipeline.registry.device_channels(site, device).values():
            time = self._record.readings(channel.index, start, end)["time"]
            before = self._before(channel, start)
            tolerance = max(3 * channel.interval, _TOLERANCE)
            of_readings += missing(time, start, end, tolerance, before=before)
            of_all += missing(
                np.append(time, self._reported(channel, start, end)), start, end, tolerance, before=before
            )
        return union(of_readings), union(of_all)

    def _newest(self, site: str, device: str, start: int, end: int) -> int:
        """Instant of the newest reading of any channel of a logger; ``start`` if there is none since then."""
        channels = self._pipeline.registry.device_channels(site, device).values()
        times = [self._record.readings(channel.index, start, end)["time"] for channel in channels]
        return max((int(time[-1]) for time in times if len(time)), default=start)

    def _before(self, channel: Channel, start: int) -> bool:
        c = schema.reading_block.c
        number = int(self._record.channel_ids[channel.index])
        first = sa.select(c.id).where(c.channel == number, c.hour < start // HOUR).limit(1)
        return bool(self._record.rows(first)) or bool(
            len(self._record.readings(channel.index, start // HOUR * HOUR, max(start, start // HOUR * HOUR + 1)))
        )

    def _reported(self, channel: Channel, start: int, end: int) -> NDArray[np.int64]:
        """The minutes of which the logger has reported a mean."""
        c = schema.reported.c
        statement: sa.Select[Any] = sa.select(c.start, c.end).where(
            c.channel == int(self._record.channel_ids[channel.index]),
            c.command == "2051",
            c.latest,
            c.mean.is_not(None),
            c.start > start - HOUR,
            c.start < end,
        )
        spans = [np.arange(row["start"], row["end"], MINUTE) for row in self._record.rows(statement)]
        return np.concatenate([*spans, np.empty(0, np.int64)]).astype(np.int64)
