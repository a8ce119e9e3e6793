"""A filed report as sheets of rows: one form of it, which XLSX, PDF and DOCX lay out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from greenmine.evidence.filed.content import (
    NO_DATA,
    TOO_FEW,
    EventLine,
    FiguresColumn,
    FiguresTable,
    FiledFigure,
    FiledReport,
    InspectionLine,
    LimitLine,
)
from greenmine.evidence.report.words import ReportWords
from greenmine.parameters import Parameter
from greenmine.processing.summary import conclude
from greenmine.readings import FLAGS
from greenmine.rounding import round_half_even, told

Total = Literal["mean", "sum", "maximum", "minimum"]


@dataclass(frozen=True, slots=True)
class HeadCell:
    """A cell of a table's head that spans columns and rows."""

    text: str
    columns: int = 1
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its decimals."""

    value: float
    places: int

    @classmethod
    def of(cls, value: float, parameter: Parameter, *bounds: float | None) -> Number:
        """Give a figure the digits with which all pages tell it."""
        return cls(value, -min(0, int(told(value, parameter.places(value), bounds).as_tuple().exponent)))

    def __str__(self) -> str:
        return f"{round_half_even(self.value, self.places)}".replace("-", "−")


@dataclass(frozen=True, slots=True)
class Computed:
    """A number that a worksheet computes from the rows above it."""

    total: Total
    averaging: str
    number: Number | None

    def __str__(self) -> str:
        return NO_DATA if self.number is None else str(self.number)


Value = str | Number | Computed


@dataclass(frozen=True, slots=True)
class FiledSheet:
    """A table under its heading; ``summed`` rows stand at its foot."""

    name: str
    head: tuple[tuple[HeadCell, ...], ...]
    rows: tuple[tuple[Value, ...], ...]
    foot: tuple[tuple[Value, ...], ...] = ()
    wide: tuple[int, ...] = ()
    """Columns with running text."""
    empty: str = ""
    """What stands there if there is no row."""


def sheets(report: FiledReport) -> Iterator[FiledSheet]:
    """Give the sheets of a report in order: conclusions, data and handling, figures by theme, limits, exceedances."""
    w = report.words
    yield _conclusions(report)
    yield _bookkeeping(report)
    for part in report.parts:
        yield from (_figures(table, w) for table in part.tables)
    if not report.district:
        yield _limits(report.parts[0].limits, w)
    yield _inspections([line for part in report.parts for line in part.inspections], w, named=report.district)
    yield _events([event for part in report.parts for event in part.events], w, named=report.district)


def notes(report: FiledReport) -> list[str]:
    """Give the remarks under a report."""
    w = report.words
    letters = w.t("list.comma").join(f"{flag} {w.t(f'filed.flag-{flag}')}" for flag in sorted(FLAGS) if flag != "N")
    said = [
        w.t("filed.note-figures"),
        w.t("filed.note-letters", letters=letters, none=NO_DATA, few=TOO_FEW),
        w.t("filed.note-standing"),
    ]
    return [w.t("filed.note-open"), *said] if report.open else said


def signatures(words: ReportWords) -> list[str]:
    """Give the places for names, who made, checked and approved it, and for the day."""
    return [words.t(f"filed.{role}") for role in ("made-by", "checked-by", "approved-by", "signed-on")]


def _heads(*texts: str) -> tuple[tuple[HeadCell, ...], ...]:
    return (tuple(HeadCell(text) for text in texts),)


def _conclusions(report: FiledReport) -> FiledSheet:
    w = report.words
    rows: list[tuple[Value, ...]] = []
    for part in report.parts:
        for one in part.conclusions:
            reasons = w.t("list.comma").join(w.verdict_reason(code) for code in one.reasons)
            said = f"{w.conclusion_sign(one.judgement, one.standing)} {w.conclusion(one.judgement, one.standing)}"
            if one.running:
                said += f"{w.t('list.sentence')}{w.t('conclusion.running', n=one.running)}"
            rows.append((w.name(part.site), w.theme(one.theme), w.t(f"addressee.{one.addressee}"), said, reasons))
    return FiledSheet(
        w.t("filed.conclusions"),
        _heads(*(w.t(f"filed.{name}") for name in ("site", "theme", "addressee", "conclusion", "reasons"))),
        tuple(rows),
        wide=(0, 2, 3, 4),
    )


def _bookkeeping(report: FiledReport) -> FiledSheet:
    """How much data each mine gave, and what was done about its exceedances."""
    w = report.words
    names = ("site", "capture", "silent-days", "events", "handled")
    rows = tuple(
        (
            w.name(part.site),
            w.share(part.capture),
            Number(part.silent_days, 0),
            Number(len(part.events), 0),
            Number(sum(bool(event.handling) for event in part.events), 0),
        )
        for part in report.parts
    )
    return FiledSheet(w.t("filed.data"), _heads(*(w.t(f"filed.{name}") for name in names)), rows, wide=(0,))


def _figures(table: FiguresTable, w: ReportWords) -> FiledSheet:
    stations = [HeadCell(name, len(list(group))) for name, group in groupby(c.station for c in table.columns)]
    head = (
        (HeadCell(w.t("filed.time"), rows=3), *stations),
        tuple(HeadCell(f"{c.symbol} {c.part}".strip()) for c in table.columns),
        tuple(HeadCell(c.unit) for c in table.columns),
    )
    rows = tuple((name, *(_value(c, c.figures[place]) for c in table.columns)) for place, name in enumerate(table.rows))
    foot: list[tuple[Value, ...]] = [
        (w.t(f"filed.{total}"), *(_total(c, total) for c in table.columns)) for total in ("mean", "maximum", "minimum")
    ]
    foot.append((w.t("filed.capture"), *(w.share(c.capture) for c in table.columns)))
    return FiledSheet(w.theme(table.theme), head, rows, tuple(foot))


def _value(column: FiguresColumn, figure: FiledFigure) -> Value:
    return figure.mark if figure.value is None else Number.of(figure.value, column.parameter)


def _total(column: FiguresColumn, total: Total) -> Value:
    had = [f.value for f in column.figures if f.value is not None]
    if total == "mean" and column.parameter.is_total:
        total = "sum"
    value = (
        {"maximum": max, "minimum": min}[total](had, default=None) if total in {"maximum", "minimum"} else column.mean
    )
    number = None if value is None else Number.of(value, column.parameter)
    return Computed(total, column.parameter.averaging, number)


def _limits(lines: Sequence[LimitLine], w: ReportWords) -> FiledSheet:
    names = ("station", "limit", "bound", "clause", "due", "meets", "exceeds", "open", "conclusion")
    return FiledSheet(
        w.t("filed.limits"),
        _heads(*(w.t(f"filed.{n}") for n in names)),
        tuple(_limit(line, w) for line in lines),
        wide=(1, 3, 8),
    )


def _limit(line: LimitLine, w: ReportWords) -> tuple[Value, ...]:
    t = line.tally
    (found,) = conclude([t], 1.0)
    counts = (t.due, t.meets, t.exceeds, t.due - t.meets - t.exceeds)
    said = f"{w.conclusion_sign(found.judgement, found.standing)} {w.conclusion(found.judgement, found.standing)}"
    bound = f"{line.bound} {line.unit}".strip()
    return (line.station, line.limit, bound, line.clause, *(Number(n, 0) for n in counts), said if t.due else NO_DATA)


def _inspections(lines: Sequence[InspectionLine], w: ReportWords, *, named: bool) -> FiledSheet:
    names = ("day", "unit", "finding", "deadline", "done")
    rows: list[tuple[Value, ...]] = []
    for line in lines:
        one = line.inspection
        done = one.note if one.done is None else f"{one.done} {one.note}".strip()
        state = w.t("acceptance.overdue") if line.overdue else done or NO_DATA
        row: list[Value] = [line.site] if named else []
        row += [f"{one.day}", w.t(f"unit-of.{one.unit}"), one.finding, f"{one.deadline or NO_DATA}", state]
        rows.append(tuple(row))
    heads = _heads(*([w.t("filed.site")] if named else []), *(w.t(f"acceptance.{name}") for name in names))
    last = len(heads[0])
    return FiledSheet(
        w.t("filed.inspections"), heads, tuple(rows), wide=(last - 3, last - 1), empty=w.t("filed.no-inspections")
    )


def _events(events: Iterable[EventLine], w: ReportWords, *, named: bool) -> FiledSheet:
    names = ("station", "limit", "start", "end", "peak", "threshold", "unit", "cause", "handling")
    rows: list[tuple[Value, ...]] = []
    for e in events:
        row: list[Value] = [e.site] if named else []
        row += [e.station, e.limit, f"{e.start:%Y-%m-%d %H:%M}"]
        row.append(w.t("duration.open") if e.end is None else f"{e.end:%Y-%m-%d %H:%M}")
        row.append(NO_DATA if e.peak is None else Number.of(e.peak, e.parameter, e.threshold))
        row += [w.plain(e.threshold), e.unit, e.cause or NO_DATA, e.handling or NO_DATA]
        rows.append(tuple(row))
    heads = _heads(*([w.t("filed.site")] if named else []), *(w.t(f"filed.{name}") for name in names))
    last = len(heads[0])
    wide = (*((0,) if named else ()), last - 8, last - 2, last - 1)
    return FiledSheet(w.t("filed.events"), heads, tuple(rows), wide=wide, empty=w.t("filed.no-events"))
