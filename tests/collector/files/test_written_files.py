"""Files written from descriptions are read back to the same readings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenmine.collector.files import Description, read_series
from greenmine.parameters import load_parameters

PM10 = load_parameters()["pm10"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _serial(moment: datetime) -> str:
    return f"{(moment.replace(tzinfo=None) - datetime(1899, 12, 30)) / timedelta(days=1):.10f}"  # noqa: DTZ001


TIMES: dict[str, tuple[tuple[str, ...], Callable[[datetime], tuple[str, ...]]]] = {
    "iso": (("Time",), lambda m: (f"{m:%Y-%m-%dT%H:%M:%S}",)),
    "chinese": (("监测时间",), lambda m: (f"{m.year}年{m.month}月{m.day}日 {m:%H:%M}",)),
    "afternoon": (
        ("日期时间",),
        lambda m: (f"{m:%Y/%m/%d} {'上午' if m.hour < 12 else '下午'} {(m.hour - 1) % 12 + 1}:{m:%M:%S}",),
    ),
    "month name": (("Timestamp",), lambda m: (f"{m:%d-%b-%Y %H:%M:%S}",)),
    "am pm": (("Date Time (MM/DD/YYYY)",), lambda m: (f"{m:%m/%d/%Y %I:%M:%S %p}",)),
    "apart": (("Date (DD/MM/YYYY)", "Clock time"), lambda m: (f"{m:%d/%m/%Y}", f"{m:%H:%M:%S}")),
    "digits": (("日期", "时间"), lambda m: (f"{m:%Y%m%d}", f"{m:%H%M%S}")),
    "parts": (("Year", "Month", "Day", "Hour", "Minute"), lambda m: (*map(str, (m.year, m.month, m.day, m.hour, m.minute)),)),
    "ordinal": (("Year", "DOY", "HHMM"), lambda m: (str(m.year), str(int(f"{m:%j}")), f"{m.hour}{m:%M}")),
    "weekday": (("Sample time",), lambda m: (f"{m:%a %d-%b-%y %H:%M:%S}",)),
    "clock with h": (("Date (DD/MM/YYYY)", "Heure"), lambda m: (f"{m:%d/%m/%Y}", f"{m:%Hh%M}")),
    "serial": (("Date Time",), lambda m: (_serial(m),)),
}  # fmt: skip
NUMBERED = ("iso", "chinese", "month name", "am pm", "apart", "weekday")
"""Forms of which stamps are told from the number of a row, as R writes it before the first column."""
UNITS = {"ug/m3": 1, "µg/m³": 1, "mg/m3": 1000, "毫克/立方米": 1000, "ng/m3": 0.001}


@st.composite
def written(draw: st.DrawFn) -> tuple[bytes, str, dict[int, float], Description, int]:
    """A file, its ending, the readings by instant [ms UTC], a description, and the interval [ms]."""
    kind = draw(st.sampled_from(list(TIMES)))
    names, form = TIMES[kind]
    numbered = kind in NUMBERED and draw(st.booleans())
    below = not numbered and draw(st.booleans())
    hours_ahead = draw(st.sampled_from([None, 0, 8, -5]))
    unit = draw(st.sampled_from(list(UNITS)))
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    comma = draw(st.booleans())
    minutes = draw(st.sampled_from([1, 5, 15, 60]))
    ends = draw(st.booleans())
    start = draw(st.datetimes(datetime(2001, 1, 1), datetime(2024, 12, 1))).replace(second=0, microsecond=0)  # noqa: DTZ001
    start -= timedelta(minutes=start.minute % minutes)
    values = draw(st.lists(st.integers(1, 4000), min_size=8, max_size=40))
    gaps = draw(st.sets(st.integers(1, len(values) - 2), max_size=len(values) // 3))
    empty = draw(st.sets(st.integers(0, len(values) - 1), max_size=len(values) // 3))
    code = draw(st.sampled_from(["", "NaN", "--", "缺测", "-8888.5"]))
    lines, expected = [], {}
    for i, value in enumerate(values):
        if i in gaps:
            continue
        moment = (start + timedelta(minutes=minutes * i)).replace(tzinfo=UTC)
        number = f"{value / UNITS[unit]:.4f}"
        cell = code if i in empty else number.replace(".", ",") if comma else number
        cell = f'"{cell}"' if delimiter in cell else cell
        number_of_row = [str(len(lines) + 1)] if numbered else []
        lines.append(delimiter.join([*number_of_row, *form(moment), cell, "1"]))
        if i not in empty:
            instant = moment - timedelta(hours=hours_ahead or 0) - timedelta(minutes=minutes if ends else 0)
            expected[(instant - EPOCH) // timedelta(milliseconds=1)] = round(float(number) * UNITS[unit], 9)
    zone = "" if hours_ahead is None else f" (UTC{hours_ahead:+03}:00)"
    header = delimiter.join([names[0] + zone, *names[1:], "PM10" if below else f"PM10 ({unit})", "Status"])
    if below:
        lines.insert(0, delimiter.join([*("" for _ in names), unit, ""]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]))
    content = ("\n".join([header, *lines]) + "\n").encode(encoding)
    said = Description(
        stamps="end" if ends else "begin",
        interval=f"{minutes}min",
        missing=("-8888.5",),
        decimal="," if comma else None,
    )
    return content, code, expected, said, minutes * 60_000


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=written())
def test_what_is_written_is_read(tmp_path: Path, file: tuple[bytes, str, dict[int, float], Description, int]) -> None:
    content, _, expected, said, interval = file
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    (series,) = read_series(path, [PM10], said, zone="UTC")
    good = np.isfinite(series.value)
    assert series.interval == interval
    assert dict(zip(series.time[good].tolist(), series.value[good].tolist(), strict=True)) == pytest.approx(expected)
