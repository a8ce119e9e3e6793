"""What data segments say."""

from __future__ import annotations

import pytest

from greenmine.collector.hj212.deviation import Deviation
from greenmine.collector.hj212.dialect import Dialect
from greenmine.collector.hj212.message import Message, SegmentField, Value, read_message, read_time
from tests.collector.hj212.hj212_frames import segment


def values_of(content: str, dialect: Dialect | None = None) -> list[tuple[object, ...]]:
    message = read_message(segment(content), dialect or Dialect())
    return [(value.code, value.kind, value.value, value.flag) for value in message.values]


def replaced(old: str, new: str) -> Message:
    return read_message(segment().replace(old.encode(), new.encode()))


@pytest.mark.parametrize(
    ("flag", "version", "answer", "split"),
    [
        (0, 2005, False, False),
        (1, 2005, True, False),
        (4, 2017, False, False),
        (5, 2017, True, False),
        (6, 2017, False, True),
        (7, 2017, True, True),
        (8, 2025, False, False),
        (9, 2025, True, False),
        (11, 2025, True, True),
    ],
)
def test_flag_is_read_by_its_bits(flag: int, version: int, answer: bool, split: bool) -> None:
    message = read_message(segment(flag=flag))
    assert (message.version, message.answer, message.split) == (version, answer, split)


def test_a_version_to_come_is_none_that_is_known() -> None:
    message = read_message(segment(flag=12))
    assert (message.version, message.flag, message.deviations) == (None, 12, (Deviation.UNKNOWN_VERSION,))


def test_without_flag_it_is_2005() -> None:
    assert replaced("Flag=5;", "").version == 2005


def test_a_header_that_is_cut_off_tells_no_version() -> None:
    assert read_message(b"QN=20160801085857223;ST=32").version is None


def test_the_header_is_read() -> None:
    message = read_message(segment())
    assert (message.qn, message.st, message.cn) == ("20160801085857223", "32", "2011")
    assert message.mn == "010000A8900016F000169DC0"
    assert message.password is not None
    assert message.password.matches("123456")
    assert not message.password.matches("123457")


def test_the_representation_of_a_message_shows_no_password() -> None:
    text = repr(read_message(segment("NewPW=654321;PW=777777;NewSK=abcabc")))
    assert [secret for secret in ("123456", "654321", "777777", "abcabc") if secret in text] == []


def test_packet_numbers() -> None:
    message = read_message(segment(flag=7).replace(b"CP=", b"PNUM=3;PNO=1;CP="))
    assert (message.pnum, message.pno, message.deviations) == (3, 1, ())


@pytest.mark.parametrize(
    ("old", "new", "deviation"),
    [
        ("QN=20160801085857223", "QN=20160801085857", Deviation.BAD_QN),
        ("QN=20160801085857223", "QN=20161301085857223", Deviation.BAD_QN),
        ("ST=32", "ST=101", Deviation.BAD_ST),
        ("CN=2011", "CN=20x1", Deviation.BAD_CN),
        ("MN=010000A8900016F000169DC0", "MN=", Deviation.NO_MN),
        ("Flag=5", "Flag=5x", Deviation.BAD_FLAG),
        ("Flag=5", "Flag=256", Deviation.BAD_FLAG),
        ("Flag=5", "Flag=7", Deviation.SPLIT_WITHOUT_NUMBERS),
        ("CP=", "PNUM=2;PNO=1;CP=", Deviation.NUMBERS_WITHOUT_SPLIT),
        ("Flag=5", "Flag=7;PNUM=x;PNO=1", Deviation.BAD_PACKET_NUMBER),
        ("QN=", "qn=", Deviation.NAME_CASE),
        ("ST=32;CN=2011", "CN=2011;ST=32", Deviation.HEADER_ORDER),
        ("ST=32", "ST=32;ST=31", Deviation.REPEATED_NAME),
        ("ST=32", "XX=1;ST=32", Deviation.UNKNOWN_HEADER),
    ],
)
def test_a_deviation_of_the_header_has_a_name(old: str, new: str, deviation: Deviation) -> None:
    message = replaced(old, new)
    assert deviation in message.deviations
    assert message.cn


def test_unknown_header_parts_are_kept() -> None:
    assert replaced("ST=32", "XX=1;ST=32").header == (SegmentField("XX", "1"),)


def test_the_requests_of_2005_set_the_bit_of_packet_numbers_without_having_any() -> None:
    assert read_message(segment(flag=3)).deviations == ()


def test_datatime_is_chinese_standard_time() -> None:
    message = read_message(segment("DataTime=20160801084000"))
    assert (message.time, message.datatime, message.deviations) == (1_470_012_000_000, "20160801084000", ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2016080108400",
        "20160231084000",
        "201608010840001",
        "20160801084060",
        "２０１６０８０１０８４０００",
        "0" * 14,
    ],
)
def test_a_time_that_is_none_is_kept_as_text(text: str) -> None:
    message = read_message(segment(f"DataTime={text}"))
    assert (message.time, message.fields) == (None, (SegmentField("DataTime", text),))
    assert Deviation.BAD_TIME in message.deviations


def test_a_datatime_with_milliseconds_is_tolerated() -> None:
    message = read_message(segment("DataTime=20160801084000123"))
    assert (message.time, message.deviations) == (1_470_012_000_123, (Deviation.TIME_DIGITS,))


@pytest.mark.parametrize("text", ["19710101000000", "99981231235959", "20160229000000"])
def test_times_at_the_ends_are_read(text: str) -> None:
    assert read_time(text) is not None


@pytest.mark.parametrize(
    "kind",
    ["Rtd", "Min", "Avg", "Max", "Cou", "ZsRtd", "ZsMin", "ZsAvg", "ZsMax", "Data", "DayData", "NightData", "RS", "RT"],
)
def test_a_kind_is_what_follows_the_hyphen(kind: str) -> None:
    message = read_message(segment(f"a34002-{kind}=1.5"))
    assert [(value.code, value.kind, value.value) for value in message.values] == [("a34002", kind, 1.5)]
    assert message.deviations == ()


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("w01018-SN=0100001", "0100001"),
        ("w01018-SampleTime=20160801085857", "20160801085857"),
        ("a34002-EFlag=0001", "0001"),
        ("i11001-Info=//时间校准//", "//时间校准//"),
        ("i13004-Info=168.0", 168.0),
        ("SB1-RS=0", 0.0),
    ],
)
def test_values_of_a_kind_of_text_are_text(content: str, value: object) -> None:
    assert [found[2] for found in values_of(content)] == [value]


def test_a_flag_belongs_to_all_values_of_its_factor_in_the_group() -> None:
    assert values_of("a34002-Min=1,a34002-Avg=2,a34002-Flag=D;LA-Rtd=3") == [
        ("a34002", "Min", 1.0, "D"),
        ("a34002", "Avg", 2.0, "D"),
        ("LA", "Rtd", 3.0, None),
    ]


def test_a_flag_behind_a_semicolon_reaches_back_to_its_factor() -> None:
    message = read_message(segment("a34002-Rtd=1;LA-Rtd=2;a34002-Flag=D"))
    assert [(value.code, value.flag) for value in message.values] == [("a34002", "D"), ("LA", None)]
    assert message.deviations == (Deviation.SPLIT_GROUP,)


@pytest.mark.parametrize("flags", ["a34002-Flag=D,a34002-Flag=N", "a34002-Flag=N,a34002-Flag=D"])
def test_of_two_flags_the_one_that_is_not_normal_counts(flags: str) -> None:
    message = read_message(segment(f"a34002-Rtd=1,{flags}"))
    assert [(value.code, value.flag) for value in message.values] == [("a34002", "D")]
    assert message.deviations == (Deviation.REPEATED_VALUE,)


def test_a_flag_alone_is_a_value_that_is_absent() -> None:
    assert read_message(segment("a34002-Flag=D")).values == (Value("a34002", None, None, "", "D", "absent"),)


@pytest.mark.parametrize(
    ("content", "deviation"),
    [
        ("a34002-Rtd=1,a34002-Flag=m", Deviation.UNKNOWN_DATA_FLAG),
        ("a34002-Rtd=1,LA-Rtd=2", Deviation.MIXED_GROUP),
        ("DataTime=20160801085857,LA-Rtd=2", Deviation.MIXED_GROUP),
        ("LA-Rtd=1;LA-Rtd=2", Deviation.REPEATED_VALUE),
        ("LA-Ori=1", Deviation.UNKNOWN_KIND),
        ("LA-rtd=1", Deviation.NAME_CASE),
        ("LA-Rtd-Rtd=1", Deviation.ODD_CODE),
        ("LA-Rtd=+1", Deviation.NUMBER_FORM),
        ("LA-Rtd=1e1", Deviation.NUMBER_FORM),
        ("LA-Rtd=01.5", Deviation.NUMBER_FORM),
        ("a34002-Rtd=1,Flag=N", Deviation.FLAG_IN_CP),
        ("UTP=A", Deviation.UNKNOWN_NAME),
    ],
)
def test_a_deviation_of_the_content_has_a_name(content: str, deviation: Deviation) -> None:
    message = read_message(segment(content))
    assert message.deviations == (deviation,)
    assert message.values or message.fields


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a34002-Rtd=", "empty"),
        ("a34002-Rtd=--", "not-a-number"),
        ("a34002-Rtd=nan", "not-a-number"),
        ("a34002-Rtd=1e999", "not-a-number"),
        ("a34002-Rtd=１２", "not-a-number"),
        ("a34002-Rtd=1_000", "not-a-number"),
        ("a34002-Rtd=999.999", "type-maximum"),
        ("a01008-Rtd=9999", "type-maximum"),
        ("LA-Rtd=999.9", "type-maximum"),
        ("a21026-ZsAvg=9999.99", "sentinel"),
        ("a01005-Avg=-100,a01005-Flag=B", "sentinel"),
        ("a01005-Avg=-77", "sentinel"),
    ],
)
def test_no_value_is_null_with_its_reason_and_its_text(content: str, reason: str) -> None:
    (value,) = read_message(segment(content), Dialect(sentinels=frozenset({-77.0}))).values
    assert (value.value, value.reason) == (None, reason)
    assert value.text == content.partition("=")[2].partition(",")[0]


@pytest.mark.parametrize(
    "content", ["a01005-Avg=-100,a01005-Flag=N", "w01018-Cou=99999.9", "a34002-Rtd=1000", "xx-Rtd=99"]
)
def test_a_number_that_only_looks_like_a_sentinel_is_a_value(content: str) -> None:
    assert isinstance(values_of(content)[0][2], float)


def test_fields_without_a_factor_are_kept_in_order_with_repeats() -> None:
    message = read_message(segment("PolID=101,CTime=04,CTime=10"))
    assert message.fields == (SegmentField("PolID", "101"), SegmentField("CTime", "04"), SegmentField("CTime", "10"))


def test_a_segment_that_is_none_says_nothing() -> None:
    assert read_message(b"hello").cn is None


@pytest.mark.parametrize("number", ["5,5", "1,234.5", "1,234,567", "-1,5", "5,.5"])
def test_a_number_that_a_comma_cuts_is_no_number(number: str) -> None:
    (value,) = read_message(segment(f"a34005-Rtd={number},a34005-Flag=N")).values
    assert (value.value, value.reason, value.text, value.flag) == (None, "not-a-number", number, "N")


def test_two_times_in_one_message_are_none() -> None:
    first, second = "DataTime=20160801084000;LA-Rtd=50,LA-Flag=N", "DataTime=20160801084100;LA-Rtd=51,LA-Flag=N"
    message = read_message(segment(f"{first};{second}"))
    assert message.time is None
    assert Deviation.SEVERAL_TIMES in message.deviations
    assert read_message(segment(f"{first};DataTime=20160801084000")).time == read_time("20160801084000")
