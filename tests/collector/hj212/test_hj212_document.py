"""The JSON form, and that encoding is the inverse of decoding."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.collector.hj212.document import FrameDocument, describe, encode_document
from greenmine.collector.hj212.encode import EncodeError, encode_frame, encode_message
from greenmine.collector.hj212.frame import read_line
from greenmine.collector.hj212.message import Message, SegmentField, Value, read_message
from greenmine.collector.hj212.secret import Secret
from tests.collector.hj212.hj212_frames import DUST, EMPTY, HOUR, frame, segment

DECODER = msgspec.json.Decoder(FrameDocument, float_hook=Decimal)
ENTRY = {"version": 2017, "qn": "20160801085857223", "st": "32", "cn": "2011", "mn": "A", "pw": True}


def decoded(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(describe(read_line(data))))
    return found


def there_and_back(data: bytes, password: str = "123456") -> bytes:
    text = msgspec.json.encode(describe(read_line(data)))
    return encode_document(DECODER.decode(text), password)


def encoded(**members: Any) -> bytes:
    return encode_document(DECODER.decode(msgspec.json.encode(ENTRY | members)), "123456")


def test_the_members_of_a_sound_frame() -> None:
    assert decoded(DUST) == {
        "ok": True,
        "error": None,
        "text": None,
        "version": 2017,
        "qn": "20160801085857223",
        "st": "32",
        "cn": "2011",
        "mn": "010000A8900016F000169DC0",
        "pw": True,
        "flag": {"answer": True, "split": False, "number": 5},
        "pnum": None,
        "pno": None,
        "time": "2016-08-01T08:58:57+08:00",
        "values": [
            {"code": "a34002", "kind": "Rtd", "value": 52.1, "flag": "N"},
            {"code": "LA", "kind": "Rtd", "value": 50.1, "flag": None},
        ],
        "fields": [],
        "header": [],
        "deviations": [],
        "length": {"declared": 153, "actual": 153},
        "crc": {"given": DUST[-6:-2].decode(), "computed": DUST[-6:-2].decode()},
    }


def test_a_number_is_printed_with_the_digits_as_sent() -> None:
    assert b'"value":52.10,' in msgspec.json.encode(describe(read_line(DUST)))


def test_no_value_says_why_and_what_was_sent() -> None:
    (value,) = decoded(frame(segment("LA-Rtd=--,LA-Flag=D")))["values"]
    assert value == {
        "code": "LA",
        "kind": "Rtd",
        "value": None,
        "flag": "D",
        "reason": "not-a-number",
        "text": "--",
    }


def test_a_damaged_frame_shows_what_could_be_read() -> None:
    found = decoded(DUST[:-6] + b"0000")
    assert (found["ok"], found["error"], found["cn"]) == (False, "crc", "2011")
    assert len(found["values"]) == 2


def test_a_sound_frame_without_a_command_is_a_syntax_error() -> None:
    found = decoded(frame(b"hello"))
    assert (found["ok"], found["error"]) == (False, "syntax")


@pytest.mark.parametrize("data", [b"", b"hello", DUST, DUST[:60], b"##"])
def test_every_object_has_the_same_members(data: bytes) -> None:
    assert list(decoded(data)) == list(decoded(EMPTY))


SECRET = "123456"
LEAKS = {
    "sound": DUST,
    "wrong check sum": DUST[:-6] + b"0000",
    "comma for semicolon": DUST.replace(b";PW", b",PW"),
    "semicolon lost": DUST.replace(b";PW", b"PW"),
    "equals sign lost": DUST.replace(b"PW=", b"PW"),
    "equals sign damaged": DUST.replace(b"PW=", b"PWx"),
    "name damaged": DUST.replace(b"PW=", b"QW="),
    "name cut": DUST.replace(b"PW=", b"P;W="),
    "text cut": DUST.replace(b"PW=123456", b"PW=;123456"),
    "small letters": frame(DUST[6:-6].replace(b"PW", b"pw")),
    "blanks": frame(DUST[6:-6].replace(b"PW=", b" PW = ")),
    "twice": frame(DUST[6:-6].replace(b"PW=", b"PW=1;PW=")),
    "in CP": frame(segment("NewPW=123456").replace(b"PW=123456;", b"")),
    "in CP as PW": frame(segment("PW=123456").replace(b";PW=123456;", b";")),
    "session key": frame(segment("NewSK=123456").replace(b"PW=123456;", b"")),
    "commas in a sound frame": frame(DUST[6:-6].replace(b";PW", b",PW")),
    "ampersands in the password": frame(DUST[6:-6].replace(b"PW=", b" PW=9&&")),
    "ampersand in a new password": frame(segment("NewPW=9&123456").replace(b"PW=123456;", b"")),
    "comma in the password": frame(DUST[6:-6].replace(b"PW=", b" PW=9,")),
}


@pytest.mark.parametrize("data", LEAKS.values(), ids=LEAKS)
def test_no_password_is_shown(data: bytes) -> None:
    assert SECRET not in json.dumps(decoded(data))


def test_a_password_is_said_to_be_present_or_not() -> None:
    assert decoded(DUST)["pw"] is True
    assert decoded(frame(segment().replace(b"PW=123456;", b"")))["pw"] is False


UNUSUAL = [
    "",
    "PolID=101,CTime=04,CTime=10",
    "BeginTime=20160801000000,EndTime=20160802000000",
    "DataTime=20160801080000;LA-Rtd=1;LA-Rtd=2",
    "DataTime=20160801080000123;LA-Rtd=1",
    "DataTime=2016;LA-Rtd=1",
    "LA-Rtd=1;DataTime=20160801080000",
    "LA-Flag=N,LA-Rtd=1",
    "LA-Rtd=1;LA-Flag=N",
    "LA-Flag=D",
    "LA-Rtd=+1.50;LA-Min=007;LA-Max=1e3;LA-Avg=;LA-Data=--",
    "LA-Rtd=123456789012345678901234567890.10",
    " LA-Rtd = 1 ;;junk",
    "i11001-Info=//时间;校准,完成//",
    "a-Rtd=9999.99,a-Flag=N",
    "w01008-SampleTime=20231008132300,w01008-Rtd=123.456",
]


@pytest.mark.parametrize("content", UNUSUAL)
@pytest.mark.parametrize("flag", [0, 5, 9, 200])
def test_encoding_gives_back_the_very_bytes(content: str, flag: int) -> None:
    data = frame(segment(content, flag=flag))
    assert there_and_back(data) == data


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("PW=123456;", ""),
        ("PW=123456", "PW="),
        ("Flag=5;", ""),
        ("Flag=5;", "Flag=05;"),
        ("Flag=5;", "Flag=x;"),
        ("Flag=5;", "Flag=7;PNUM=0002;PNO=1;"),
        ("ST=32;CN=2011", "CN=2011;ST=32"),
        ("ST=32", "XX=1;ST=32"),
        (";CP=&&&&", ""),
        (";CP=&&&&", "CP=&&&&"),
    ],
)
def test_encoding_gives_back_an_unusual_header(old: str, new: str) -> None:
    data = frame(segment().replace(old.encode(), new.encode()))
    assert there_and_back(data) == data


WORD = st.text(st.sampled_from("abcXYZ0189._/ 时间"), min_size=1, max_size=8).map(str.strip).filter(bool)
CODE = st.sampled_from(["a34002", "w01018", "011", "LA", "SB1"])
KIND = st.sampled_from(["Rtd", "Avg", "Cou", "ZsMax", "Data", "Info", "SN", "EFlag", "Ori"])
NUMBER = st.decimals(-9999, 9999, places=3).map(str) | WORD
PAIR = st.builds("{}-{}={}".format, CODE, KIND, NUMBER) | st.builds("{}-Flag={}".format, CODE, st.sampled_from("NDmB"))
ITEM = st.lists(PAIR | st.builds("{}={}".format, WORD, WORD), min_size=1, max_size=4).map(",".join)
CONTENT = st.lists(ITEM, max_size=5).map(";".join)


@given(CONTENT, st.integers(0, 255), st.sampled_from(["2011", "2051", "9014", "3020"]))
def test_encoding_is_the_inverse_of_decoding(content: str, flag: int, cn: str) -> None:
    data = frame(segment(content, flag=flag, cn=cn))
    assert there_and_back(data) == data


TEXT = st.text(st.characters(exclude_characters=";,&#=\r\n", exclude_categories=["Cs", "Zs", "Cc", "Co", "Zl", "Zp"]))
NAME = TEXT.filter(lambda text: text and "-" not in text and text.lower() != "datatime")
MESSAGES = st.builds(
    Message,
    version=st.just(2017),
    qn=st.just("20160801085857223"),
    st=st.just("32"),
    cn=st.just("2011"),
    password=st.builds(Secret, st.just("123456")),
    mn=st.just("A"),
    flag=st.sampled_from([4, 5]),
    time=st.just(1_470_012_000_000),
    datatime=st.just("20160801084000"),
    fields=st.lists(st.builds(SegmentField, NAME.filter(lambda n: "pw" not in n.lower()), TEXT), max_size=3).map(tuple),
    values=st.lists(
        st.builds(
            lambda number, kind, flag: Value("a34002", kind, float(number), number, flag),
            st.decimals(-900, 900, places=2).map(str),
            KIND.filter(lambda kind: kind not in {"SN", "EFlag"}),
            st.sampled_from([None, "N", "D"]),
        ),
        max_size=1,
    ).map(tuple),
)


@given(MESSAGES)
def test_decoding_is_the_inverse_of_encoding(message: Message) -> None:
    again = read_message(encode_message(message))
    assert (again.qn, again.st, again.cn, again.mn, again.flag) == (
        "20160801085857223",
        "32",
        "2011",
        "A",
        message.flag,
    )
    assert (again.password, again.time, again.values) == (message.password, message.time, message.values)
    assert [field.name for field in again.fields] == [field.name for field in message.fields]


def test_a_new_object_is_written_in_the_standards_form() -> None:
    values = [
        {"code": "w01018", "kind": "Min", "value": 40.1, "flag": "N"},
        {"code": "w01018", "kind": "Avg", "value": 40, "flag": "N"},
        {"code": "LA", "kind": "Rtd", "value": 1e-7, "flag": None},
    ]
    flag = {"answer": True, "split": True}
    data = encoded(
        values=values, flag=flag, pnum=2, pno=1, time="2016-08-01T00:40:00Z", fields=[{"name": "a", "value": "b"}]
    )
    assert data[6:-6].decode() == (
        "QN=20160801085857223;ST=32;CN=2011;PW=123456;MN=A;Flag=7;PNUM=2;PNO=1;CP=&&DataTime=20160801084000;"
        "a=b;w01018-Min=40.1,w01018-Avg=40,w01018-Flag=N;LA-Rtd=0.0000001&&"
    )
    assert decoded(data)["ok"]


@pytest.mark.parametrize(
    ("members", "part"),
    [
        ({"ok": False}, "ok is false"),
        ({"cn": None}, "cn is missing"),
        ({"mn": "A;PW=1"}, "MN"),
        ({"mn": "A\r\n##0000"}, "MN"),
        ({"fields": [{"name": "a", "value": "1&&"}]}, "text of a"),
        ({"fields": [{"name": "a;b", "value": "1"}]}, "name"),
        ({"fields": [{"name": "PW", "value": None, "hidden": True}]}, "hidden"),
        ({"values": [{"code": "LA", "kind": "Rtd", "value": None, "flag": "D"}]}, "null"),
        ({"values": [{"code": "LA", "kind": "Rtd", "value": True, "flag": "D"}]}, "LA-Rtd"),
        ({"values": [{"code": "LA", "kind": "Rtd", "value": [1], "flag": "D"}]}, "LA-Rtd"),
        ({"values": [{"code": "LA", "kind": "Rtd", "value": msgspec.Raw(b"1e999999999"), "flag": "D"}]}, "size"),
        ({"time": "2016-08-01T08:40:00"}, "no offset"),
        ({"time": "yesterday"}, "no time"),
        ({"version": 2024}, "2024"),
        ({"version": 2025, "flag": {"number": 5, "answer": True}}, "version 2025"),
        ({"flag": {"number": 5, "split": True}}, "number 5"),
        ({"version": None, "flag": {"answer": True}}, "version"),
        ({"fields": [{"name": "a", "value": "x" * 10_000}]}, "9999"),
        ({"segment": "ST=32;CN=2011;CP=&&&&"}, "something else"),
    ],
)
def test_what_cannot_be_a_frame_is_refused_with_what_would_be_right(members: dict[str, Any], part: str) -> None:
    with pytest.raises(EncodeError, match=part):
        encoded(**members)


def test_a_changed_member_is_not_overruled_by_the_segment() -> None:
    entry = decoded(frame(segment("BeginTime=1,EndTime=2")))
    entry["mn"] = "B"
    with pytest.raises(EncodeError, match="leave it out"):
        encode_document(DECODER.decode(json.dumps(entry)), "123456")
    del entry["segment"]
    assert b"MN=B;" in encode_document(DECODER.decode(json.dumps(entry)), "123456")


def test_a_password_of_ones_own_may_stand_in_the_object() -> None:
    assert b"PW=abcdef;" in encoded(pw="abcdef")


def test_old_loggers_get_old_frames() -> None:
    assert b"Flag" not in encoded(version=2005)
    assert b"Flag=1;" in encoded(version=2005, flag={"answer": True})


def test_a_segment_that_four_digits_cannot_declare_is_refused() -> None:
    assert encode_frame(b"x" * 9999).startswith(b"##9999")
    with pytest.raises(EncodeError, match="10000 bytes"):
        encode_frame(b"x" * 10_000)


def test_what_was_tolerated_is_written_as_the_standard_says() -> None:
    data = b"junk" + HOUR[:-6] + HOUR[-6:-2].lower()
    assert there_and_back(data) == HOUR


def test_text_in_gb18030_is_written_in_utf8() -> None:
    content = "i11001-Info=//时间校准//"
    old = segment(content).decode().encode("gb18030")
    assert there_and_back(frame(old)) == frame(segment(content))
