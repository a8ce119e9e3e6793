"""``greenmine analyse`` against published figures, polars and itself."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import subprocess
import sys
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import openpyxl
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenmine.cli.analyse import analyse
from greenmine.cli.files import Reading
from greenmine.cli.judge import judge
from greenmine.durations import parse_duration
from greenmine.parameters import load_parameters

DATA = Path(__file__).parents[2] / "../shared/data"
REFERENCE = DATA / "reference"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data sets are not here")

COMMAND = [str(Path(sys.executable).with_name("greenmine")), "analyse"]

SENSOR = "dust/sensor-community-8733-2018-03-20-to-2018-04-20.csv"
OTHER_SERVER = "dust/sensor-community-8733-same-device-other-server-2018-03-30-to-2018-04-05.csv"
UNIT_1 = "dust/pm25-o3-no2-1min-august-2019-unit-1.csv"
STATION = "dust/reference-station-hourly-august-2019.csv"
NOISE_MINUTES = "noise/laeq-1min-2025-03-21-to-2025-04-01.csv"
NOISE_SECONDS = "noise/laeq-1s-2025-03-22-00h-to-03h.csv"
RIVER_2019 = "water/river-sonde-main-street-15min-2019-01-to-06.csv"
RIVER_2020 = "water/river-sonde-main-street-15min-2020-01-to-03.csv"
CREEK = "water/sandy-creek-turbidity-with-anomaly-labels.csv"

ROW = ["start", "end", "mean", "minimum", "maximum", "count", "capture", "valid"]


@pytest.fixture
def run(capsys):
    """Run the command in this process: rows, notes and status."""

    def call(file, **options):
        status = 0
        try:
            named = {field.name for field in fields(Reading)}
            reading = Reading(**{name: said for name, said in options.items() if name in named})
            analyse(file, **{name: said for name, said in options.items() if name not in named}, reading=reading)
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        return list(csv.DictReader(io.StringIO(out))), err, status

    return call


@pytest.fixture
def log(tmp_path):
    """Write a file of readings."""

    def write(rows, header="time,value"):
        path = tmp_path / "log.csv"
        path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
        return path

    return write


def number(text: str) -> float:
    return float(text) if text else math.nan


def reference(name: str):
    return json.loads((REFERENCE / name).read_text(encoding="utf-8"))


# Published figures


@needs_data
def test_hours_of_a_noise_file_have_the_published_levels(run):
    rows, _, _ = run(DATA / NOISE_SECONDS, parameter="laeq")
    expected = reference("noise-series-expected.json")["hours_from_1s"]
    assert len(rows) == len(expected) == 3
    for row, hour in zip(rows, expected, strict=True):
        levels = hour["half_open"]
        assert row["start"] == hour["hour_start"].replace(" ", "T") + "+00:00"
        assert int(row["count"]) == hour["samples"]
        found = [float(row[name]) for name in ("mean", "L10", "L50", "L90", "maximum", "minimum")]
        assert found == pytest.approx([levels[n] for n in ("Leq", "L10", "L50", "L90", "Lmax", "Lmin")], abs=5e-7)


@needs_data
def test_days_of_a_noise_file_have_the_published_levels(run):
    rows, _, _ = run(DATA / NOISE_MINUTES, parameter="laeq", window="24h")
    days = {row["start"][:10]: row for row in rows}
    expected = reference("noise-series-expected.json")["days_from_1min"]
    assert len(expected) == 6
    for day in expected:
        assert int(days[day["day"]]["count"]) == day["minutes"]
        assert float(days[day["day"]]["mean"]) == pytest.approx(day["Leq"], abs=1e-6)
        assert float(days[day["day"]]["maximum"]) == pytest.approx(day["Lmax_1min"], abs=1e-6)


@needs_data
@pytest.mark.parametrize(
    ("file", "parameter", "value", "expected", "key", "interval"),
    [
        (UNIT_1, "PM2.5", None, "dust-expected-1min-unit-1.json", "PM2.5", "60s"),
        (SENSOR, "pm10", "P1", "dust-expected-sensor-8733.json", "PM10_P1", "150s"),
        (SENSOR, "pm2.5", "P2", "dust-expected-sensor-8733.json", "PM2.5_P2", "150s"),
    ],
)
def test_hours_of_dust_files_have_the_published_figures(run, file, parameter, value, expected, key, interval):
    known = reference(expected)[key]
    rows, _, _ = run(DATA / file, parameter=parameter, value=value, interval=interval, stamp_zone="UTC")
    valid = [row for row in rows if row["valid"] == "true"]
    means = {row["start"][:19].replace("T", " "): float(row["mean"]) for row in valid}
    assert len(rows) == known["hours_spanned"]
    assert sum(row["count"] != "0" for row in rows) == known["hours_with_any"]
    assert len(valid) == known["hours_valid"]
    assert sum(int(row["count"]) for row in rows) == known["readings_used"]
    assert min(number(r["minimum"]) for r in rows if r["minimum"]) == known["min"]
    assert max(number(r["maximum"]) for r in rows if r["maximum"]) == known["max"]
    first = [[r["start"][:19].replace("T", " "), round(float(r["mean"]), 6), int(r["count"])] for r in valid[:3]]
    assert first == known["first_valid_hours"]
    highest = max(means, key=means.get)
    assert [highest, round(means[highest], 6)] == known["max_valid_hour"]
    above = {limit: sum(mean > float(limit) for mean in means.values()) for limit in known["hours_above"]}
    assert above == known["hours_above"]
    for day, mean, hours in known["days"]:
        of_day = [value for start, value in means.items() if start.startswith(day)]
        assert len(of_day) == hours
        assert mean is None or sum(of_day) / hours == pytest.approx(mean, abs=1e-6)


@needs_data
@pytest.mark.parametrize(
    ("file", "key", "parameter", "quantity"),
    [
        (file, key, parameter, quantity)
        for file, key in ((RIVER_2019, "2019-01-to-06"), (RIVER_2020, "2020-01-to-03"))
        for parameter, quantity in (
            ("water-temperature", "temp"), ("conductivity", "cond"), ("ph", "ph"), ("do", "do"), ("turbidity", "turb"),
        )
    ],
)  # fmt: skip
def test_water_files_have_the_published_counts_and_extremes(run, file, key, parameter, quantity):
    known = reference("water-expected-main-street.json")[key]["quantities"][quantity]
    rows, notes, _ = run(DATA / file, parameter=parameter, window="40000d", interval="15min")
    assert [(int(r["count"]), float(r["minimum"]), float(r["maximum"])) for r in rows] == [
        (known["used"], known["min"], known["max"])
    ]
    codes = known["code_-9999"]
    assert (f"note: {codes:,} readings outside" in notes) == (codes > 0)


@needs_data
def test_rolling_means_keep_the_rule_of_three_quarters(run, log):
    known = reference("rolling-mean-with-data-capture.json")
    start = datetime.fromisoformat("2024-01-01T00:00")
    rows = [(start + timedelta(hours=h), "" if v is None else v) for h, v in enumerate(known["input_hourly"])]
    found, _, _ = run(log(rows), parameter="pm10", window="8h", every="1h", interval="1h")
    means = [float(row["mean"]) if row["valid"] == "true" else None for row in found]
    assert means == known["expected"]["right_padded_ends"]


@needs_data
@pytest.mark.parametrize("case", [0, 4])
def test_worked_examples_of_the_equivalent_level(run, log, case):
    known = reference("noise-level-worked-examples.json")["cases"][case]
    rows, _, _ = run(log([(f"2024-01-01 00:0{i}", level) for i, level in enumerate(known["input"])]), parameter="laeq")
    assert float(rows[0]["mean"]) == pytest.approx(known["expected"], abs=known["tolerance"])


# The same computed with polars

FILES = [
    pytest.param(SENSOR, {"parameter": "pm10", "value": "P1"}, "timestamp", "P1", "%Y-%m-%dT%H:%M:%S", id="sensor pm10"),
    pytest.param(SENSOR, {"parameter": "pm2.5", "value": "P2"}, "timestamp", "P2", "%Y-%m-%dT%H:%M:%S", id="sensor pm2.5"),
    pytest.param(OTHER_SERVER, {"parameter": "pm10", "value": "SDS_P1"}, "Time", "SDS_P1", "%Y/%m/%d %H:%M:%S", id="server"),
    pytest.param(UNIT_1, {"parameter": "pm2.5"}, "Time", "PM2.5 (µg/m³)", "%m/%d/%Y %H:%M", id="unit pm2.5"),
    pytest.param(UNIT_1, {"parameter": "humidity"}, "Time", "RH (%)", "%m/%d/%Y %H:%M", id="unit humidity"),
    pytest.param(UNIT_1, {"parameter": "air-temperature"}, "Time", "TEMP (°C)", "%m/%d/%Y %H:%M", id="unit temperature"),
    pytest.param(NOISE_MINUTES, {"parameter": "laeq"}, "datetime", "LEQ dB -A", "%Y-%m-%d %H:%M:%S", id="noise minutes"),
    pytest.param(NOISE_SECONDS, {"parameter": "laeq"}, "datetime", " LEQ dB -A ", "%Y-%m-%d %H:%M:%S", id="noise seconds"),
    pytest.param(NOISE_MINUTES, {"parameter": "lafmax"}, "datetime", "LEQ dB -A", "%Y-%m-%d %H:%M:%S", id="noise maximum"),
    pytest.param(RIVER_2019, {"parameter": "turbidity"}, "datetime", "turb", "%Y-%m-%d %H:%M", id="river turbidity"),
    pytest.param(RIVER_2019, {"parameter": "water-temperature"}, "datetime", "temp", "%Y-%m-%d %H:%M", id="river temp"),
    pytest.param(RIVER_2020, {"parameter": "conductivity"}, "datetime", "cond", "%Y-%m-%d %H:%M:%S%.f", id="river cond"),
    pytest.param(RIVER_2020, {"parameter": "do"}, "datetime", "do_cor", "%Y-%m-%d %H:%M:%S%.f", id="river do"),
    pytest.param(CREEK, {"parameter": "turbidity"}, "Timestamp", "Tur", "%d/%m/%Y %H:%M", id="creek turbidity"),
    pytest.param(
        STATION,
        {"parameter": "pm2.5", "where": ["Param=PM2.5-88101"], "time": "Date (UTC),Time (UTC)", "value": "Value"},
        "stamp", "Value", "%m/%d/%Y %H:%M", id="station pm2.5",
    ),
]  # fmt: skip
PREPARE = {
    SENSOR: {"separator": ";"},
    OTHER_SERVER: {"separator": ";", "truncate_ragged_lines": True},
    UNIT_1: {"skip_rows": 6},
}
MEANS = {
    "laeq": 10 * (10 ** (pl.col("v") / 10)).mean().log10(),
    "lafmax": pl.col("v").max(),
}


def frame(file: str, time: str, value: str, form: str, bounds: tuple[float, float], zone: str = "UTC") -> pl.DataFrame:
    """Distinct plausible readings in order, read and cleaned by polars."""
    table = pl.read_csv(DATA / file, infer_schema=False, **PREPARE.get(file, {}))
    table = table.filter(pl.col("Param") == "PM2.5-88101") if "Param" in table.columns else table
    table = (
        table.with_columns(stamp=pl.concat_str("Date (UTC)", "Time (UTC)", separator=" ")) if time == "stamp" else table
    )
    stamp = pl.col(time).str.to_datetime(form, time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return (
        table.select(t=stamp, v=pl.col(value).cast(pl.Float64, strict=False))
        .filter(pl.col("v").is_between(*bounds))
        .unique("t", keep="first", maintain_order=True)
        .sort("t")
    )


@needs_data
@pytest.mark.parametrize(("window", "every"), [("1h", "1h"), ("24h", "24h"), ("15min", "5min"), ("24h", "1h")])
@pytest.mark.parametrize(("file", "options", "time", "value", "form"), FILES)
def test_figures_equal_those_of_polars(run, file, options, time, value, form, window, every):
    options = {"value": value} | options
    parameter = load_parameters()[options["parameter"]]
    readings = frame(file, time, value, form, (parameter.low, parameter.high))
    # A reading without a value ahead of the others makes polars begin with the windows that hold the first only.
    ahead = pl.DataFrame({"t": [readings["t"].min() - timedelta(days=2)], "v": [None]}, schema=readings.schema)
    grouped = (
        pl.concat([ahead, readings])
        .group_by_dynamic("t", every=every.replace("min", "m"), period=window.replace("min", "m"))
        .agg(
            mean=MEANS.get(parameter.id, pl.col("v").mean()),
            minimum=pl.col("v").min(),
            maximum=pl.col("v").max(),
            count=pl.col("v").count(),
            **{f"L{n}": pl.col("v").quantile(1 - n / 100, "linear") for n in (10, 50, 90)},
        )
    )
    spacing = readings["t"].diff().dt.total_milliseconds().median()
    width, step = parse_duration(window), parse_duration(every)
    expected = {row["t"]: row for row in grouped.to_dicts()}

    rows, _, _ = run(DATA / file, **options, window=window, every=every, stamp_zone="UTC")
    first, last = readings["t"].min(), readings["t"].max()
    ends = [datetime.fromisoformat(row["end"]) for row in rows]
    assert ends == [ends[0] + timedelta(milliseconds=step) * i for i in range(len(ends))]
    assert first < ends[0] <= first + timedelta(milliseconds=step)
    assert last < ends[-1] <= last + timedelta(milliseconds=step)
    known = [expected.get(datetime.fromisoformat(row["start"]), {}) for row in rows]
    counts = [int(row["count"]) for row in rows]
    assert counts == [item.get("count", 0) for item in known]
    for name in [*ROW[2:5], *[name for name in rows[0] if name.startswith("L")]]:
        found = np.array([number(row[name]) for row in rows])
        np.testing.assert_allclose(found, np.array([item.get(name) for item in known], float), rtol=1e-9)
    shares = [min(1.0, count * spacing / width) for count in counts]
    assert [float(row["capture"]) for row in rows] == shares
    assert [row["valid"] for row in rows] == [str(share >= 0.75 and spacing <= width).lower() for share in shares]
    within = pl.col("t").is_between(ends[0] - timedelta(milliseconds=width), ends[-1] - timedelta(milliseconds=width))
    assert sum(count > 0 for count in counts) == grouped.filter(pl.col("count") > 0, within).height


@needs_data
@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Asia/Kolkata", "Asia/Shanghai"])
def test_natural_days_of_a_zone_equal_those_of_polars(run, tmp_path, zone):
    readings = frame(SENSOR, "timestamp", "P1", "%Y-%m-%dT%H:%M:%S", (-10, 20_000), zone)
    path = tmp_path / "instants.csv"
    readings.select(time=pl.col("t").dt.convert_time_zone("UTC").dt.strftime("%FT%TZ"), pm10="v").write_csv(path)
    days = readings.group_by_dynamic("t", every="1d").agg(mean=pl.col("v").mean(), count=pl.len())
    rows, _, _ = run(path, parameter="pm10", zone=zone, window="24h")
    found = [(r["start"], float(r["mean"]), int(r["count"])) for r in rows if r["mean"]]
    expected = [(row["t"].isoformat(), row["mean"], row["count"]) for row in days.to_dicts()]
    assert [(start, count) for start, _, count in found] == [(start, count) for start, _, count in expected]
    assert [mean for _, mean, _ in found] == pytest.approx([mean for _, mean, _ in expected], rel=1e-9)


# What the rows say


@pytest.mark.parametrize(
    ("parameter", "values", "mean"),
    [
        ("pm10", [1, 2, 6], 3.0),
        ("laeq", [50, 50, 60], 10 * math.log10((2e5 + 1e6) / 3)),
        ("lafmax", [50, 70, 60], 70.0),
        ("rain", [0.2, 0, 1.4], 1.6),
        ("wind-direction", [350, 0, 10], 0.0),
        ("equipment-state", [0, 1, 1], 2 / 3),
    ],
)
def test_the_mean_is_that_of_the_parameter(run, log, parameter, values, mean):
    rows, _, _ = run(log([(f"2024-01-01 00:{20 * i:02}", v) for i, v in enumerate(values)]), parameter=parameter)
    assert float(rows[0]["mean"]) == pytest.approx(mean, rel=1e-12, abs=1e-9)
    assert [name for name in rows[0] if name not in ROW] == (["L10", "L50", "L90"] if parameter == "laeq" else [])


def test_a_reading_at_the_end_belongs_to_the_next_window_and_gaps_are_rows(run, log):
    rows, notes, _ = run(
        log([("2024-01-01 00:59:59.999", 1), ("2024-01-01 03:00", 2)]), parameter="pm10", interval="1h"
    )
    assert [(r["start"][11:13], r["mean"], r["count"], r["capture"], r["valid"]) for r in rows] == [
        ("00", "1.0", "1", "1.0", "true"),
        ("01", "", "0", "0.0", "false"),
        ("02", "", "0", "0.0", "false"),
        ("03", "2.0", "1", "1.0", "true"),
    ]
    assert "stamps without offset are read as UTC" in notes


def test_what_is_left_out_is_counted(run, log):
    rows, notes, _ = run(
        log([
            ("2024-01-01 00:00", 5), ("2024-01-01 00:10", "NULL"), ("2024-01-01 00:20", -9999), ("2024-01-01 00:30", 7),
            ("2024-01-01 00:00", 6), ("2024-01-01 00:30", 7), ("never", 8), ("2024-01-01 00:20", 9),
        ]),
        parameter="pm10", interval="10min", tolerate=1.0,
    )  # fmt: skip
    assert [(row["mean"], row["count"], row["capture"], row["valid"]) for row in rows] == [
        ("6.0", "2", str(2 / 6), "false")
    ]
    assert "1 rows left out: time not readable (first in line 8)" in notes
    assert "1 rows without a number not used" in notes
    assert "1 readings outside -10 to 20000 ug/m3 not used" in notes
    assert "3 repeats of an instant not used, 2 of them with another value" in notes


def test_times_are_in_the_zone(run, log):
    rows, notes, _ = run(
        log([("2024-01-01T00:10Z", 5), ("2024-01-01T00:20Z", 5)]), parameter="pm10", zone="Asia/Kolkata"
    )
    assert [(r["start"], r["end"]) for r in rows] == [("2024-01-01T05:00:00+05:30", "2024-01-01T06:00:00+05:30")]
    assert "UTC" not in notes


def test_a_day_of_25_hours_expects_25_hours(run, log):
    hours = [datetime.fromisoformat("2018-11-04T04:00+00:00") + timedelta(hours=h) for h in range(19)]
    rows, _, _ = run(
        log([(h.isoformat(), 1) for h in hours]), parameter="pm10", zone="America/New_York", window="1d", validity=0.76
    )
    assert [(r["start"], r["end"], r["capture"], r["valid"]) for r in rows] == [
        ("2018-11-04T00:00:00-04:00", "2018-11-05T00:00:00-05:00", "0.76", "true")
    ]


def test_json_holds_the_same_rows(run, log, capsys):
    path = log([("2024-01-01 00:30", 50.5), ("2024-01-01 02:30", 60)])
    rows, _, _ = run(path, parameter="laeq", interval="1h")
    analyse(path, parameter="laeq", format="json", reading=Reading(interval="1h"))
    objects = json.loads(capsys.readouterr().out)
    assert [list(item) for item in objects] == [[*ROW, "L10", "L50", "L90"]] * 3
    assert objects[1] == {
        "start": "2024-01-01T01:00:00+00:00", "end": "2024-01-01T02:00:00+00:00", "mean": None, "minimum": None,
        "maximum": None, "count": 0, "capture": 0.0, "valid": False, "L10": None, "L50": None, "L90": None,
    }  # fmt: skip
    assert [item["mean"] for item in objects] == [float(r["mean"]) if r["mean"] else None for r in rows]


@pytest.mark.parametrize("parameter", ["PM2.5", "pm25", "Pm2.5", "PM₂.₅", "pm 2.5"])
def test_parameters_have_usual_spellings(run, log, parameter):
    rows, _, _ = run(log([("2024-01-01", 5)]), parameter=parameter, interval="1h")
    assert rows[0]["mean"] == "5.0"


@pytest.mark.parametrize(
    ("parameter", "header", "column"),
    [
        ("pm2.5", "time,PM10,PM2.5", 2),
        ("pm2.5", "time,pm25(μg/m³),o3", 1),
        ("pm2.5", "time,a34002-Rtd,a34004-Rtd", 2),
        ("pm10", "time,sensor,PM₁₀ ug/m3", 2),
        ("laeq", "time,LAFMax,LAeq", 2),
        ("laeq", "time,battery, LEQ dB -A ", 2),
        ("turbidity", "time,level,Turb", 2),
        ("ph", "time,temp,pH", 2),
        ("water-temperature", "time,水温(℃),浊度", 1),
        ("nh3-n", "time,氨氮,COD", 1),
    ],
)
def test_the_column_is_found_by_the_name_of_the_parameter(run, log, parameter, header, column):
    rows, _, _ = run(log([("2024-01-01", 1, 2)], header), parameter=parameter, interval="1h")
    assert float(rows[0]["mean"]) == column


def _two_days(log):
    """Minutes of two days; of the first, ten hours have every other minute only, and all of its high values are there."""
    begin = datetime.fromisoformat("2026-03-30T00:00")
    minutes = [
        (begin + timedelta(minutes=n), 99 + n % 3 if 300 <= n < 900 else 39 + n % 3)
        for n in range(2880)
        if not 300 <= n < 900 or n % 2
    ]
    return log(minutes, "time,pm10")


def test_a_day_by_the_law_is_the_mean_of_its_valid_hours(run, log):
    path = _two_days(log)
    plain, said, _ = run(path, parameter="pm10", window="24h", zone="Asia/Shanghai")
    law, _, status = run(path, parameter="pm10", window="24h", zone="Asia/Shanghai", rule="law")
    assert status == 0
    assert "--rule law" in said
    assert [float(row["mean"]) for row in plain] == pytest.approx([(300 * 100 + 840 * 40) / 1140, 40])
    assert [(float(row["mean"]), row["hours"], row["valid"]) for row in law] == [
        (40, "14", "false"),
        (40, "24", "true"),
    ]


def test_a_file_is_judged_by_a_limit(run, log):
    rows, _, status = run(_two_days(log), parameter="pm10", zone="Asia/Shanghai", limit=["gb3095-pm10-day-class2"])
    assert status == 0
    assert [(row["start"], row["judgement"], row["reason"]) for row in rows] == [
        ("2026-03-30T00:00:00+08:00", "not assessable", "too-few-hours"),
        ("2026-03-31T00:00:00+08:00", "meets", "within-limit"),
    ]
    assert {row["standing"] for row in rows} == {"indicative"}


def test_a_file_is_judged_as_judge_does(run, log, tmp_path, capsys):
    """The same readings as those of a station of a registry have the same verdicts."""
    path = _two_days(log)
    rows, _, _ = run(path, parameter="pm10", zone="Asia/Shanghai", limit=["gb3095-pm10-day-class2"])
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    readings = tmp_path / "readings.csv"
    readings.write_text(
        "channel,time,value\n" + "".join(f"hengjie/receptor/pm10,{line}\n" for line in lines), encoding="utf-8"
    )
    judge(readings=[str(readings)], period="2026-03-30/2026-03-31", format="csv")
    judged = [
        row for row in csv.DictReader(io.StringIO(capsys.readouterr().out)) if row["limit"] == "gb3095-pm10-day-class2"
    ]
    assert [(r["start"], r["value"], r["judgement"]) for r in rows] == [
        (r["start"], r["value"], r["judgement"]) for r in judged
    ]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"limit": ["gb3095-pm10-day-class9"]}, "--limit 'gb3095-pm10-day-class9' is none; nearest:"),
        ({"limit": ["gb3095-pm2.5-day-class2"]}, "judges pm2.5, not pm10"),
        ({"rule": "law", "window": "15min"}, "--rule law: the law has windows of 1h and 24h"),
        ({"format": "xlsx"}, "--format xlsx needs a file"),
    ],
)
def test_what_the_law_does_not_know_is_refused(run, log, options, complaint):
    rows, message, status = run(
        log([("2024-01-01 00:00", 1), ("2024-01-01 01:00", 2)], "time,pm10"), parameter="pm10", **options
    )
    assert (rows, status) == ([], 2)
    assert complaint in message


def test_readings_in_doubt_are_not_judged(run, log):
    path = log(
        [(f"2024-01-01 {n // 60:02}:{n % 60:02}", 9999 if n % 6 == 0 else 40 + n % 7) for n in range(600)], "time,pm10"
    )
    _, message, status = run(path, parameter="pm10", limit=["gb3095-pm10-day-class2"], zone="Asia/Shanghai")
    assert status == 2
    assert "readings of pm10 may be none" in message


@pytest.mark.parametrize("ending", ["xlsx", "parquet", "csv", "json"])
def test_figures_are_written_to_a_file(run, log, tmp_path, ending):
    path = log([(f"2024-01-01 0{n // 60}:{n % 60:02}", n, 2 * n) for n in range(120)], "time,pm10,pm2.5")
    out = tmp_path / f"figures.{ending}"
    shown, _, status = run(path, parameter="pm10,pm2.5", out=out)
    assert (shown, status) == ([], 0)
    rows = READERS[ending](out)
    found = [(row["parameter"], row["start"], float(row["mean"])) for row in rows]
    assert found == [
        ("pm10", "2024-01-01T00:00:00+00:00", 29.5),
        ("pm10", "2024-01-01T01:00:00+00:00", 89.5),
        ("pm2.5", "2024-01-01T00:00:00+00:00", 59.0),
        ("pm2.5", "2024-01-01T01:00:00+00:00", 179.0),
    ]


def _sheet(path):
    names, *rows = openpyxl.load_workbook(path).active.values
    return [dict(zip(names, row, strict=True)) for row in rows]


READERS = {
    "xlsx": _sheet,
    "parquet": lambda path: pl.read_parquet(path).to_dicts(),
    "csv": lambda path: list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))),
    "json": lambda path: json.loads(path.read_text(encoding="utf-8")),
}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"parameter": "pm3"}, "--parameter 'pm3' is not known; there are pm10, pm2.5, tsp"),
        ({"parameter": "pm10", "value": "P9"}, "no column 'P9' for --value; there are 'P1', 'P2'"),
        ({"parameter": "pm10"}, "no column is plainly pm10; choose with --value: there are 'P1', 'P2'"),
        ({"parameter": "pm10", "time": "when"}, "no column 'when' for the time"),
        ({"parameter": "pm10", "value": "P1", "window": "1 hour"}, "--window: '1 hour'"),
        ({"parameter": "pm10", "value": "P1", "every": "0s"}, "--every: '0s'"),
        ({"parameter": "pm10", "value": "P1", "interval": "often"}, "--interval: 'often'"),
        ({"parameter": "pm10", "value": "P1", "zone": "Mars"}, "--zone: 'Mars' is not a time zone"),
        ({"parameter": "pm10", "value": "P1", "validity": 75.0}, "--validity 75"),
        ({"parameter": "pm10", "value": "P1", "where": ["P1"]}, "--where 'P1': COLUMN=TEXT"),
        ({"parameter": "pm10", "value": "P1", "where": ["P3=1"]}, "no column 'P3'"),
        ({"parameter": "pm10", "value": "P1", "where": ["P1=7"]}, "no rows of data"),
        ({"parameter": "pm10", "value": "P1"}, "only one instant can be used"),
        (
            {"parameter": "pressure", "value": "P1", "unit": "kPa"},
            "no reading can be used: of 1 rows with a time 0 have no number, 1 are",
        ),
        ({"parameter": "pm10", "value": "P1", "time_format": "%d"}, "--time-format '%d'"),
    ],
)
def test_mistakes_end_with_one_line_and_status_2(run, log, options, complaint):
    rows, message, status = run(log([("2024-01-01", 1, 2)], "time,P1,P2"), **options)
    assert (rows, status) == ([], 2)
    assert complaint in message
    assert message.startswith("greenmine analyse: ")
    assert message.count("\n") == 1


@pytest.mark.parametrize(("file", "reason"), [("absent.csv", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_named(run, tmp_path, file, reason):
    _, message, status = run(tmp_path / file, parameter="pm10")
    assert status == 2
    assert str(tmp_path / file) in message
    assert reason in message


readings = st.lists(
    st.tuples(st.integers(0, 5000), st.floats(0, 1000).map(lambda v: round(v, 3))), min_size=2, max_size=40,
    unique_by=lambda reading: reading[0],
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(readings=readings, data=st.data())
def test_order_and_repetition_change_nothing(run, log, readings, data):
    start = datetime.fromisoformat("2018-03-24T22:00+00:00")
    rows = [((start + timedelta(minutes=minute)).isoformat(), value) for minute, value in readings]
    options = {"parameter": "pm10", "zone": "Europe/London", "window": "3h", "every": "1h", "unit": "ug/m3"}
    expected, _, status = run(log(sorted(rows)), **options)
    shuffled = data.draw(st.permutations(rows + data.draw(st.lists(st.sampled_from(rows)))))
    assert run(log(shuffled), **options)[0] == expected
    assert status == 0
    assert sum(int(row["count"]) for row in expected) >= len(rows)


def test_stamps_with_offsets_in_any_order_are_no_clock_of_twelve_hours(run, log):
    rows = [(f"2018-03-25T{hour:02}:00:00+00:00", hour) for hour in (12, 4, 11, 5)]
    options = {"parameter": "pm10", "window": "24h", "unit": "ug/m3"}
    found, _, status = run(log(rows), **options)
    assert status == 0
    assert [row["count"] for row in found] == ["4"]


# The real command


def call(*arguments, stdin=None):
    return subprocess.run([*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, timeout=60, check=False)


@needs_data
def test_the_command_writes_rows_to_output_and_notes_to_errors():
    done = call(DATA / SENSOR, "--parameter", "pm10", "--value", "P1", "--interval", "150s", "--window", "24h")
    rows = list(csv.reader(io.StringIO(done.stdout.decode())))
    assert done.returncode == 0
    assert rows[0] == ROW
    assert len(rows) == 33
    assert done.stderr.decode().splitlines() == [
        "note: stamps without offset are read as UTC; --zone names their zone",
        "note: the time goes back 1 times from one row to the next: perhaps the clock was set, or files were joined",
        "note: column 'P1' states no unit: its values are taken for ug/m3; --unit says another",
        "note: means are over all readings of a window; the legal mean of a day is that of its valid hours: --rule law gives it",
    ]


@needs_data
def test_the_command_reads_standard_input():
    path = DATA / NOISE_SECONDS
    assert call("-", "--parameter", "laeq", stdin=path.read_bytes()).stdout == call(path, "--parameter", "laeq").stdout


def test_the_command_needs_a_file():
    done = call("--parameter", "pm10")
    assert (done.returncode, done.stderr.decode()) == (
        2, "greenmine analyse: one file is needed, or - for standard input\n"
    )  # fmt: skip


def test_the_command_knows_an_option_from_a_file():
    done = call("--windw", "2h", "--parameter", "pm10")
    assert done.returncode != 0
    assert "Did you mean --window?" in done.stderr.decode()


def test_the_command_explains_a_mistake_without_a_traceback():
    done = call("-", "--parameter", "pm10", stdin=b"nothing\nhere\n")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().count("\n") == 1
    assert "standard input: has no header line" in done.stderr.decode()


@needs_data
def test_the_command_bears_a_reader_that_stops():
    with subprocess.Popen(
        [*COMMAND, str(DATA / NOISE_MINUTES), "--parameter", "laeq", "--every", "1min"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": ""},
    ) as process:  # fmt: skip
        assert process.stdout.readline().startswith(b"start,end,mean")
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
