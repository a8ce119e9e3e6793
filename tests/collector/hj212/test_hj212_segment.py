"""The grammar of data segments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.collector.hj212.deviation import Deviation
from greenmine.collector.hj212.segment import split_segment

HEAD = b"ST=32;CN=2011;"


def test_header_and_groups_are_kept_in_order() -> None:
    parts = split_segment(b"ST=32;CN=2011;CP=&&a=1,b=2;c-Rtd=3;c-Rtd=4&&")
    assert parts.header == (("ST", "32"), ("CN", "2011"))
    assert parts.groups == ((("a", "1"), ("b", "2")), (("c-Rtd", "3"),), (("c-Rtd", "4"),))
    assert parts.deviations == ()


@pytest.mark.parametrize(
    ("content", "deviation"),
    [
        (b"CP=&& a=1&&", Deviation.BLANK),
        (b"CP=&&a =1&&", Deviation.BLANK),
        (b"CP=&&a=1;&&", Deviation.EMPTY_ITEM),
        (b"CP=&&a=1,;b=2&&", Deviation.EMPTY_ITEM),
        (b"CP=&&a=1;junk&&", Deviation.NO_EQUALS),
        (b"CP=&&a=1", Deviation.CP_NOT_CLOSED),
        (b"CP=a=1&&", Deviation.CP_NOT_OPENED),
        (b"CP=&&a=1&&;", Deviation.TEXT_AFTER_CP),
        (b"cp=&&a=1&&", Deviation.NAME_CASE),
        (b"MN=1CP=&&a=1&&", Deviation.MISSING_SEPARATOR),
        (b"CP=&&a=\xb2\xe2\xca\xd4&&", Deviation.GB18030),
        (b"CP=&&a=\xff\xff&&", Deviation.NOT_UTF8),
    ],
)
def test_a_tolerance_has_a_name_and_the_rest_is_read(content: bytes, deviation: Deviation) -> None:
    parts = split_segment(HEAD + content)
    assert parts.deviations == (deviation,)
    assert parts.header[:2] == (("ST", "32"), ("CN", "2011"))
    assert parts.groups[0][0][0] == "a"


def test_a_segment_without_cp_is_all_header() -> None:
    parts = split_segment(b"ST=91;CN=9013")
    assert (parts.header, parts.groups) == ((("ST", "91"), ("CN", "9013")), ())
    assert parts.deviations == (Deviation.NO_CP,)


def test_an_empty_cp_has_no_groups() -> None:
    assert split_segment(HEAD + b"CP=&&&&").groups == ()


def test_log_text_between_slashes_may_hold_separators() -> None:
    parts = split_segment(HEAD + "CP=&&i11001-Info=//时间;校准,完成//;b=2&&".encode())
    assert parts.groups == ((("i11001-Info", "//时间;校准,完成//"),), (("b", "2"),))


def test_a_single_pair_of_slashes_is_text() -> None:
    assert split_segment(HEAD + b"CP=&&a=x//y;b=2&&").groups == ((("a", "x//y"),), (("b", "2"),))


def test_an_equals_sign_in_a_text_belongs_to_it() -> None:
    assert split_segment(HEAD + b"CP=&&a=b=c&&").groups == ((("a", "b=c"),),)


@given(st.binary(max_size=300))
def test_any_bytes_are_split(data: bytes) -> None:
    split_segment(data)


@given(
    st.lists(st.sampled_from([b"CP", b"=", b"&&", b";", b",", b"//", b"a-Rtd", b"1", b" ", b"\xb2\xe2"]), max_size=40)
)
def test_any_row_of_the_grammars_parts_is_split(parts: list[bytes]) -> None:
    split_segment(b"".join(parts))
