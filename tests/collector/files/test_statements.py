"""What the heading of a logger's file says of all of its values or stamps."""

from __future__ import annotations

import pytest

from greenmine.collector.files.columns import LoggerFileError
from greenmine.collector.files.statements import factor_columns, refuse_corrections, refuse_factors, refuse_times


@pytest.mark.parametrize(
    "line",
    [
        "K-factor: 2.5 (not applied)",
        "Multiplier = 10",
        "倍率：10",
        "Zero offset to be subtracted: 12 ug/m3",
        "零点偏移 3.5",
        "Gain: 1.25",
        "Correction factor (dust): 0.7",
        "校正系数,1.2",
        "Intercept = -2.1",
        "CF=1.3",
        "校准系数k=1.3",
        "Values multiplied by 10",
        "数据需除以10",
        "PM10 = raw * 1.3",
        "Data x10",
        "Flow correction: 1.02",
    ],
)
def test_a_factor_or_an_offset_of_which_it_is_open_whether_values_hold_it_is_refused(line: str) -> None:
    with pytest.raises(LoggerFileError, match="not stated; give --unit"):
        refuse_corrections(["Serial 12", line])


@pytest.mark.parametrize(
    "line",
    [
        "K-factor: 1.0",
        "Multiplier = 1",
        "Zero offset: 0 ug/m3",
        "UTC offset: 8",
        "Gain: 20 dB",
        "Model: DT-X10",
        "Full scale: 1000",
        "Correction: 0",
        "Grid 10 x 10",
        "量程：0-1000",
    ],
)
def test_what_changes_no_value_is_let_pass(line: str) -> None:
    refuse_corrections([line])


@pytest.mark.parametrize(
    "line", ["Logger clock is 3 h slow", "Clock was 12 min fast on return", "时钟慢2小时", "Averaging period: 60 min"]
)
def test_a_wrong_clock_and_means_over_several_rows_are_refused(line: str) -> None:
    with pytest.raises(LoggerFileError, match="the heading says"):
        refuse_times("PM10", [line], 60_000.0)


@pytest.mark.parametrize(
    "line", ["Averaging period: 1 min", "Clock set on 2026-03-01", "Alarm limit of 24 h average: 120"]
)
def test_a_span_of_the_rows_themselves_and_other_lines_are_let_pass(line: str) -> None:
    refuse_times("PM10", [line], 60_000.0)


def test_a_column_of_factors_is_refused_unless_all_of_it_is_one() -> None:
    refuse_factors({"Factor": ["1", "1.0", "", "01,00"]})
    with pytest.raises(LoggerFileError, match="column 'Factor' says '10'"):
        refuse_factors({"Factor": ["1", "10"]})


def test_a_column_of_offsets_is_refused_unless_all_of_it_is_nothing() -> None:
    refuse_factors({"Zero offset (ug/m3)": ["0", "0.00", "", "none"]})
    with pytest.raises(LoggerFileError, match="corrected by it is not stated"):
        refuse_factors({"Zero offset (ug/m3)": ["0", "-3.5"]})


def test_a_column_named_after_the_values_and_a_factor_is_one_of_them_alone() -> None:
    assert factor_columns(["PM10 gain", "Temp offset", "k"], "PM10 (ug/m3)") == ["PM10 gain", "k"]
    with pytest.raises(LoggerFileError, match="multiplied by it is not stated"):
        refuse_factors({"PM10 gain": ["1.3"]}, "PM10 (ug/m3)")


@pytest.mark.parametrize(
    ("name", "cell"), [("Clock drift (s)", "-90"), ("clock_error_min", "2"), ("时钟偏差(秒)", "900")]
)
def test_a_column_that_says_that_the_clock_was_wrong_is_refused(name: str, cell: str) -> None:
    refuse_times("PM10", [], 60_000.0, {name: ["0.5", ""]})
    with pytest.raises(LoggerFileError, match="correct the stamps of the file by it"):
        refuse_times("PM10", [], 60_000.0, {name: ["0", cell]})
