"""Loggers' files as they come: dialects, stamps, damage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.collector.files import Description, LoggerFileError, Table
from greenmine.collector.files import read_table as read
from greenmine.collector.files.stamps import UNREADABLE, StampReader
from greenmine.zones import Zone

DATA = Path(__file__).parents[3] / "../shared/data"

T0 = 1_522_368_099_000  # 2018-03-30T00:01:39Z
STEP = 60_000
MOMENT = datetime.fromisoformat("2020-12-31T00:00")


def write(folder: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / "log.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def read_table(
    path: Path, columns: Sequence[str] = (), *, zone: str | None = None, time: str = "", **said: Any
) -> Table:
    return read(path, columns, Description(time=(time,) if time else (), **said), zone)


def readings(table) -> list[tuple[int, float]]:
    (values,) = table.columns.values()
    return list(zip(table.time.tolist(), values.tolist(), strict=True))


TWO = [(T0, 12.5), (T0 + STEP, 13.0)]
ROWS = "2018-03-30T00:01:39,12.5\n2018-03-30T00:02:39,13\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("time,pm10\n" + ROWS, id="plain"),
        pytest.param("time,pm10\r\n" + ROWS.replace("\n", "\r\n"), id="windows line ends"),
        pytest.param("time,pm10\r" + ROWS.replace("\n", "\r"), id="old mac line ends"),
        pytest.param("\ufefftime,pm10\n" + ROWS, id="byte-order mark"),
        pytest.param(("\ufefftime\tpm10\n" + ROWS.replace(",", "\t")).encode("utf-16-le"), id="utf-16"),
        pytest.param("时间,pm10\n" + ROWS, id="Chinese"),
        pytest.param(("监测时间,pm10(μg/m³)\n" + ROWS).encode("gb18030"), id="gb18030"),
        pytest.param(("time,pm10 (µg/m³)\n" + ROWS).encode("latin-1"), id="latin-1"),
        pytest.param(("时间,pm10\n" + ROWS).encode() + b"\xff\xfe,\n", id="damaged byte in utf-8"),
        pytest.param('"Time","PM10"\n' + ROWS.replace("2018", '"2018').replace(",", '","').replace("\n", '"\n'), id="quoted"),
        pytest.param(' Time , "PM10" \n' + ROWS.replace(",", " , "), id="blanks around cells"),
        pytest.param("time;pm10\n" + ROWS.replace(",", ";"), id="semicolons"),
        pytest.param("time\tpm10\n" + ROWS.replace(",", "\t"), id="tabs"),
        pytest.param("time|pm10\n" + ROWS.replace(",", "|"), id="bars"),
        pytest.param("time;pm10\n" + ROWS.replace(",", ";").replace(".", ","), id="decimal comma"),
        pytest.param("time\tpm10\n" + ROWS.replace(",", "\t").replace(".", ","), id="decimal comma and tabs"),
        pytest.param("time,pm10,\n" + ROWS.replace("\n", ",\n"), id="trailing delimiters"),
        pytest.param("time,pm10\n" + ROWS.replace("\n", ",,\n"), id="trailing delimiters in rows only"),
        pytest.param("time,pm10,inlet\n" + ROWS.replace("\n", ",ok\n"), id="a column of text"),
        pytest.param("time,pm10\n" + ROWS.replace("\n", ",ok\n"), id="a column without a name"),
        pytest.param("time,pm10,state\n" + ROWS.replace("\n", ",ok\n", 1), id="short rows"),
        pytest.param("\n\ntime,pm10\n\n" + ROWS.replace("\n", "\n\n"), id="blank lines"),
        pytest.param("Serial, 17\nExport\n8/1/2019 to 8/31/2019\n\ntime,pm10\n" + ROWS, id="heading"),
        pytest.param("Date,2018-03-30\nTime,pm10\n" + ROWS, id="a heading that looks like a header"),
        pytest.param("TOA5,st\nTIMESTAMP,pm10\nTS,ug/m3\n,Avg\n" + ROWS, id="lines of units"),
        pytest.param("Fecha,pm10\n" + ROWS, id="an unusual name"),
        pytest.param("time,pm10\n" + ROWS[:-1] + ".0", id="no end of line at the end"),
        pytest.param("time,pm10\n" + "\0" * 700 + ROWS, id="zeros of a power cut"),
        pytest.param("time,pm10\n" + ROWS.replace("\n", "\n\ufefftime,pm10\n", 1), id="two files joined"),
        pytest.param("Date,Time,pm10\n" + ROWS.replace("T", ","), id="date and time apart"),
        pytest.param("日期;时间;pm10\n" + ROWS.replace("T", ";").replace(",", ";"), id="date and time apart in Chinese"),
        pytest.param("id,Time,Date,pm10\n" + "".join(
            f"1,{t},2018-03-30,{v}\n" for t, v in (("00:01:39", "12.5"), ("12:02:39 AM", "13"))
        ), id="time before date"),
        pytest.param("index,unix,pm10\n1,1522368099,12.5\n2,1522368159,13\n", id="seconds since 1970"),
    ],
)  # fmt: skip
def test_dialects_give_the_same_readings(tmp_path, content):
    path = write(tmp_path, content)
    assert readings(read_table(path, columns=("pm10",))) == TWO


@pytest.mark.parametrize(
    "rows",
    ["2018-03-30T00:01:39,12.5\n2018-03-30T00:02:39,13\n", "30.03.2018 00:01:39,12.5\n30.03.2018 00:02:39,13\n"],
)
def test_a_file_without_header_has_numbered_columns(tmp_path, rows):
    table = read_table(write(tmp_path, rows), columns=("#2",))
    assert readings(table) == TWO


@pytest.mark.parametrize(
    ("stamp", "instant"),
    [
        ("2018-03-30T00:01:39", "2018-03-30T00:01:39"),
        ("2018-03-30t00:01:39z", "2018-03-30T00:01:39"),
        ("2018-03-30 00:01:39.5", "2018-03-30T00:01:39.500"),
        ("2018-03-30 00:01:39.1239999", "2018-03-30T00:01:39.123"),
        ("2018-03-30 00:01:39,25", "2018-03-30T00:01:39.250"),
        ("2018-03-30 00:01", "2018-03-30T00:01"),
        ("2018-03-30", "2018-03-30T00:00"),
        ("2018-03-29 24:00", "2018-03-30T00:00"),
        ("2018-03-30T00:01:39+08:00", "2018-03-29T16:01:39"),
        ("2018-03-30T00:01:39.500-0530", "2018-03-30T05:31:39.500"),
        ("2018-03-30 00:01:39 +08", "2018-03-29T16:01:39"),
        ("2018-03-30 00:01:39 UTC", "2018-03-30T00:01:39"),
        ("2018/03/30 00:01:39", "2018-03-30T00:01:39"),
        ("2018/3/5 7:01", "2018-03-05T07:01"),
        ("2018.03.30 00:01:39", "2018-03-30T00:01:39"),
        ("2018年3月30日 7:01", "2018-03-30T07:01"),
        ("2018年03月30日07时01分", "2018-03-30T07:01"),
        ("30-Mar-2018 07:01:02", "2018-03-30T07:01:02"),
        ("3/30/2018 12:01:39 AM", "2018-03-30T00:01:39"),
        ("3/30/2018 12:01 p.m.", "2018-03-30T12:01"),
        ("03/30/2018 11:59:59 pm", "2018-03-30T23:59:59"),
        ("30/03/2018 7:01", "2018-03-30T07:01"),
        ("30.03.2018 07:01", "2018-03-30T07:01"),
        ("5/5/2018 07:01", "2018-05-05T07:01"),
        ("20180330000139", "2018-03-30T00:01:39"),
        ("20180330000139500", "2018-03-30T00:01:39.500"),
        ("201803300001", "2018-03-30T00:01"),
        ("2018033007", "2018-03-30T07:00"),
        ("20180330", "2018-03-30T00:00"),
        ("20180330T000139Z", "2018-03-30T00:01:39"),
        ("1522368099", "2018-03-30T00:01:39"),
        ("1522368099.25", "2018-03-30T00:01:39.250"),
        ("1522368099500", "2018-03-30T00:01:39.500"),
        ("1522368099500000", "2018-03-30T00:01:39.500"),
        ("1522368099500000000", "2018-03-30T00:01:39.500"),
    ],
)
def test_forms_of_stamps(stamp, instant):
    reader = StampReader()
    assert reader.add([stamp], np.array([1])).tolist() == [True]
    time = reader.result().time
    assert np.datetime64(int(time[0]), "ms") == np.datetime64(instant)


@pytest.mark.parametrize(
    "stamp",
    ["", "-", "NULL", "2018-02-30 00:00", "2018-13-01", "2018-03-30 25:00", "2018-03-30 24:01", "2018-03-30 00:60",
     "2018-03-30 00:00:61", "13/13/2018", "0/5/2018", "3/30/2018 13:00 PM", "1969-12-31 23:00", "2200-01-01", "12.5", "43189.5",
     "time", "2018-03-30 00:01:3", "x" * 5000, "30-Foo-2018", "2018-03-30T00:00+24:00"],
)  # fmt: skip
def test_what_is_no_stamp_is_not_read(stamp):
    assert StampReader().add([stamp, "2018-03-30"], np.array([1, 2])).tolist() == [False, True]


@given(
    st.lists(st.datetimes(MOMENT.replace(year=1971), MOMENT.replace(year=2199)), min_size=1, max_size=30), st.booleans()
)
def test_stamps_of_any_widths_are_read_together(moments, month_first):
    moments = [m.replace(microsecond=m.microsecond // 1000 * 1000) for m in moments]
    moments.append(MOMENT)
    form = (
        "{0.month}/{0.day}/{0.year} {0.hour}:{0:%M:%S.%f}"
        if month_first
        else "{0:%d}/{0.month}/{0.year} {0:%H:%M:%S.%f}"
    )
    reader = StampReader()
    assert reader.add([form.format(m) for m in moments], np.arange(len(moments))).all()
    stamps = reader.result()
    time, absolute = stamps.time, stamps.absolute
    assert time.tolist() == [round(m.replace(tzinfo=UTC).timestamp() * 1000) for m in moments]
    assert not absolute.any()


@given(st.lists(st.text(max_size=25), min_size=1, max_size=20))
def test_any_text_is_read_or_not_but_never_breaks(cells):
    reader = StampReader()
    readable = reader.add(cells, np.arange(len(cells)))
    assert len(readable) == len(cells)


def test_a_stamp_that_fits_only_the_other_order_is_left_out():
    reader = StampReader()
    reader.add(["1/2/2018", "13/1/2018", "14/13/2018"], np.array([2, 3, 4]))
    time = reader.result().time
    assert time.tolist() == [1_517_443_200_000, 1_515_801_600_000, UNREADABLE]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        (
            ["3/4/2018 1:00", "3/5/2018 1:00"],
            r"line 2: '3/4/2018 1:00' may have .* '%d/%m/%Y %H:%M' or '%m/%d/%Y %H:%M'",
        ),
        (["03.04.2018 1:00:30"], r"'%d\.%m\.%Y %H:%M:%S'"),
        (["3/4/2018 1:00 PM"], r"'%m/%d/%Y %I:%M %p'"),
        (["13/4/2018 1:00", "4/14/2018 1:00"], "line 2: '13/4/2018 1:00' has the day first, but line 3"),
    ],
)
def test_the_order_of_day_and_month_is_never_guessed(tmp_path, rows, complaint):
    path = write(tmp_path, "time,pm10\n" + "".join(f"{row},1.5\n" for row in rows))
    with pytest.raises(LoggerFileError, match=complaint):
        read_table(path)


@pytest.mark.parametrize(
    ("form", "stamp", "instant"),
    [
        ("%d/%m/%Y %H:%M", "3/4/2018 1:00", "2018-04-03T01:00"),
        ("%m/%d/%Y %H:%M", "3/4/2018 1:00", "2018-03-04T01:00"),
        ("%m/%d/%y %I:%M:%S %p", "03/04/18 01:00:30 PM", "2018-03-04T13:00:30"),
        ("%y%m%d %H%M", "180304 0100", "2018-03-04T01:00"),
        ("%d %B %Y, %H.%M", "4 March 2018, 1.05", "2018-03-04T01:05"),
        ("%FT%T.%f%z", "2018-03-04T01:00:00.5+0800", "2018-03-03T17:00:00.500"),
        ("%d-%m-%YT%H:%M:%S", "04-03-2018T01:00:00", "2018-03-04T01:00"),
    ],
)
def test_a_stated_form_decides(tmp_path, form, stamp, instant):
    path = write(tmp_path, f"time;pm10\n{stamp};1.5\n")
    table = read_table(path, time_format=form)
    assert np.datetime64(int(table.time[0]), "ms") == np.datetime64(instant)


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ("%Q", "'%Q' is not known"),
        ("%H:%M", "year, month and day"),
        ("%Y%Y%m%d", "once only"),
        ("%d/%m/%Y", "no column whose"),
    ],
)
def test_a_wrong_form_is_explained(tmp_path, form, complaint):
    with pytest.raises(LoggerFileError, match=complaint):
        read_table(write(tmp_path, "time,pm10\n" + ROWS), time_format=form)


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "NULL",
        "NaN",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "n.a.",
        "1_000",
        "12.5.1",
        "--",
        "0x1F",
        "12,5 mg",
        "1 2",
    ],
)
def test_what_is_no_number_is_missing(tmp_path, cell):
    path = write(tmp_path, f"time;pm10\n2018-03-30 00:00;{cell}\n2018-03-30 00:01;-1.5e1\n2018-03-30 00:02; +.5 \n")
    assert read_table(path).columns["pm10"].tolist()[1:] == [-15.0, 0.5]
    assert np.isnan(read_table(path).columns["pm10"][0])


def test_a_control_sign_beside_a_number_does_no_harm(tmp_path):
    path = write(tmp_path, "time,pm10\n2018-03-30,\x1f1.5\n2018-03-31,NULL\n")
    assert read_table(path).columns["pm10"].tolist()[0] == 1.5


def test_a_comma_among_decimal_points_parts_thousands(tmp_path):
    path = write(tmp_path, "time;turb;level\n2018-03-30 00:00;999.5;1,5\n2018-03-30 00:01;1,723;2\n")
    columns = read_table(path).columns
    assert columns["turb"].tolist() == [999.5, 1723]
    assert columns["level"].tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("rows", "reason", "count"),
    [
        ("yesterday,5\n", "time not readable", 1),
        (",5\n,6\n", "time not readable", 2),
        ('"2018-03-30 00:00,5\n', "time not readable", 1),
        ("2018-03-30 00:05,5,6,7\n", "more cells than the 2 of the header", 1),
        ("2018-03-30 00:05,12,5\n", "more cells than the 2 of the header", 1),
    ],
)
def test_damaged_rows_are_left_out_and_counted(tmp_path, rows, reason, count):
    table = read_table(write(tmp_path, "time,pm10\n" + ROWS + rows + "2018-03-30 00:06,9\n"))
    assert readings(table) == [*TWO, (T0 + 4 * STEP + 21_000, 9.0)]
    assert table.skipped == {reason: count}
    assert any(f"{count} rows left out: {reason} (first in line 4)" in note for note in table.notes)


def test_a_lost_quote_damages_its_own_line_only(tmp_path):
    table = read_table(
        write(tmp_path, 'time,pm10,note\n2018-03-30 00:00,1,"x\n2018-03-30 00:01,2,y"\n2018-03-30 00:02,3,\n')
    )
    assert table.columns["pm10"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "options", "complaint"),
    [
        ("", {}, "is empty"),
        ("\n\n", {}, "is empty"),
        ("hello\nworld\n", {}, "two columns or more"),
        ("a,b\n1,2\n", {}, "no column with stamps .* 'a', 'b'"),
        ("time,pm10\n" + ROWS, {"time": "when"}, "no column 'when' .* 'time', 'pm10'"),
        ("time,pm10\n" + ROWS, {"time": "pm10"}, "'pm10' holds no readable stamps"),
        ("time,pm10\n" + ROWS, {"columns": ("pm1",)}, "no column 'pm1': there are 'time', 'pm10'"),
        ("time,pm10\n" + ROWS, {"delimiter": "xy"}, "--delimiter 'xy'"),
        ("time,pm10\n" + ROWS, {"zone": "Mars/Base"}, "'Mars/Base' is not a time zone"),
        ("time,pm10\n", {}, "no rows of data"),
        ("time,pm10\n2018-03-30 00:01,12,5\n", {}, "no rows of data; 1 rows left out: more cells"),
        ("timestamp,datetime,v\n2018-03-30,2018-03-31,1\n", {}, "'timestamp', 'datetime'; choose with --time"),
        ("Date (UTC),Date (LST),v\n2018-03-30,2018-03-31,1\n", {}, "'Date \\(UTC\\)', 'Date \\(LST\\)'"),
        ("Date,Time,v\n2018-03-30,25:00,1\n", {}, "'Date', 'Time' do not read as date and time"),
        ("time,PM-10,pm_10\n2018-03-30,1,2\n", {"columns": ("pm10",)}, "'pm10' may be any of 'PM-10', 'pm_10'"),
        ("time,a,b\n2018-03-30,1,2\ntime,b\n2018-03-31,2\n", {}, "line 3: a second header without 'a'"),
        (b"PK\x03\x04rest", {}, "a damaged zip archive or workbook"),
        (b"\x1f\x8brest", {}, "compressed"),
    ],
)
def test_what_cannot_be_told_is_an_error_that_says_what_would_be_right(tmp_path, content, options, complaint):
    with pytest.raises(LoggerFileError, match=complaint):
        read_table(write(tmp_path, content), **options)


def test_a_later_part_is_read_by_the_names_of_its_own_header(tmp_path):
    columns = read_table(
        write(tmp_path, "time,a,b\n2018-03-30,1,2\ntime,c,b,a\n2018-03-31,9,2,1\n"), ("a", "b")
    ).columns
    assert {name: values.tolist() for name, values in columns.items()} == {"a": [1, 1], "b": [2, 2]}


def test_columns_are_found_without_case_signs_and_units(tmp_path):
    path = write(tmp_path, "Time,PM2.5 (µg/m³),TEMP (°C)\n2018-03-30 00:01:39,12.5,20\n")
    assert readings(read_table(path, columns=("pm2.5",))) == [(T0, 12.5)]
    assert list(read_table(path, columns=("PM2.5", "temp")).columns) == ["PM2.5", "temp"]
    assert list(read_table(path).columns) == ["PM2.5 (µg/m³)", "TEMP (°C)"]


def test_rows_can_be_chosen_by_a_text(tmp_path):
    path = write(tmp_path, "time,what,v\n2018-03-30,PM10 ,1\n2018-03-30,NO2,2\n2018-03-31,PM10,3\n")
    assert read_table(path, where={"What": "PM10"}, columns=("v",)).columns["v"].tolist() == [1, 3]


@pytest.mark.parametrize(
    ("zone", "stamps", "instants"),
    [
        ("Asia/Shanghai", ["2018-03-30 08:00"], ["2018-03-30T00:00"]),
        ("+08:00", ["2018-03-30 08:00"], ["2018-03-30T00:00"]),
        ("Asia/Shanghai", ["2018-03-30 08:00Z"], ["2018-03-30T08:00"]),
        ("Europe/London", ["2018-03-25 00:30", "2018-03-25 01:30", "2018-03-25 03:30"],
         ["2018-03-25T00:30", "2018-03-25T01:30", "2018-03-25T02:30"]),
        ("America/New_York", ["2018-11-04 00:30", "2018-11-04 01:00", "2018-11-04 01:30", "2018-11-04 01:00",
                              "2018-11-04 01:30", "2018-11-04 02:00"],
         ["2018-11-04T04:30", "2018-11-04T05:00", "2018-11-04T05:30", "2018-11-04T06:00", "2018-11-04T06:30",
          "2018-11-04T07:00"]),
        ("America/New_York", ["2018-11-04 01:30", "2018-11-04 01:00"], ["2018-11-04T05:30", "2018-11-04T05:00"]),
        ("America/New_York", ["2018-11-04 01:00", "2018-11-04 01:30"], ["2018-11-04T05:00", "2018-11-04T05:30"]),
    ],
)  # fmt: skip
def test_stamps_without_offset_are_read_in_the_zone(tmp_path, zone, stamps, instants):
    path = write(tmp_path, "time,v\n" + "".join(f"{stamp},1\n" for stamp in stamps))
    assert read_table(path, zone=zone).time.astype("datetime64[ms]").tolist() == [
        datetime.fromisoformat(i) for i in instants
    ]


def test_stamps_of_a_clock_that_was_not_put_forward_are_refused(tmp_path):
    stamps = ["2018-03-25 00:30", "2018-03-25 01:30", "2018-03-25 02:30"]
    path = write(tmp_path, "time,v\n" + "".join(f"{stamp},1\n" for stamp in stamps))
    with pytest.raises(LoggerFileError, match=r"not put forward.*--stamp-zone \+00:00"):
        read_table(path, zone="Europe/London")


@given(
    st.lists(st.integers(0, 7_000_000_000_000), min_size=1, max_size=20),
    st.sampled_from(
        ["Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca", "-03:30"]
    ),
)
def test_local_time_and_back_is_the_same_instant_in_one_of_the_passes(times, zone):
    clock, instants = Zone(zone), np.array(times)
    local = clock.local(instants)
    first, second = clock.utc(local), clock.utc(local, second=True)
    assert ((first == instants) | (second == instants)).all()
    assert [datetime.fromisoformat(text).timestamp() * 1000 for text in clock.text(instants)] == pytest.approx(
        times, abs=0.5
    )


@pytest.mark.parametrize(
    ("kind", "stamps"),
    [
        (pa.timestamp("ms"), [T0, T0 + STEP]),
        (pa.timestamp("ns"), [T0 * 10**6 + 999_999, (T0 + STEP) * 10**6]),
        (pa.timestamp("us", "Asia/Shanghai"), [T0 * 1000, (T0 + STEP) * 1000]),
        (pa.string(), ["2018-03-30T00:01:39Z", "2018-03-30 00:02:39"]),
        (pa.int64(), [T0, T0 + STEP]),
        (pa.float64(), [T0 / 1000, (T0 + STEP) / 1000]),
    ],
)
@pytest.mark.parametrize("values", [[12.5, 13.0], ["12.5", "13"]])
def test_parquet_is_read_like_text(tmp_path, kind, stamps, values):
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"pm10": values, "timestamp": pa.array(stamps, kind)}), path)
    assert readings(read_table(path, columns=("PM10",), zone="UTC")) == TWO


def test_parquet_gaps_and_text_are_missing(tmp_path):
    path = tmp_path / "log.parquet"
    pl.DataFrame(
        {"day": [date(2018, 3, 30), None, date(2018, 3, 31)], "v": [1, 2, None], "unit": ["a", "a", "b"]}
    ).write_parquet(path)
    table = read_table(path, where={"unit": "a"})
    assert readings(table) == [(T0 - 99_000, 1.0)]
    assert table.skipped == {"time not readable": 1}


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data sets are not here")
@pytest.mark.parametrize(
    ("name", "rows", "column", "total"),
    [
        ("dust/sensor-community-8733-2018-03-20-to-2018-04-20.csv", 16_042, "P1", 16_042),
        ("dust/sensor-community-8733-same-device-other-server-2018-03-30-to-2018-04-05.csv", 4_036, "SDS_P1", 4_036),
        ("dust/pm25-o3-no2-1min-august-2019-unit-1.csv", 30_000, "PM2.5", 30_000),
        ("noise/laeq-1min-2025-03-21-to-2025-04-01.csv", 16_470, "LEQ dB -A", 16_470),
        ("noise/laeq-1s-2025-03-22-00h-to-03h.csv", 10_800, "LEQ dB -A", 10_800),
        ("noise/sound-level-meter-export/det_global_0500ms_comma_2dec.csv", 11, "LAeq", 11),
        ("water/river-sonde-main-street-15min-2019-01-to-06.csv", 15_000, "turb", 15_000),
        ("water/river-sonde-main-street-15min-2020-01-to-03.csv", 8_736, "turb", 8_736),
        ("water/sandy-creek-turbidity-with-anomaly-labels.csv", 5_402, "Tur", 5_402),
    ],
)
def test_every_row_of_the_shared_files_is_read(name, rows, column, total):
    table = read(DATA / name, (column,), Description(zone="UTC"))
    assert len(table) == rows
    assert np.count_nonzero(~np.isnan(table.columns[column])) == total
    assert table.skipped == {}
