"""A frame on its way through the log: all that it says but its passwords, and nothing that a gateway did not put there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from greenmine.collector.hj212.frame import Framer
from greenmine.collector.hj212.message import read_message
from greenmine.collector.hj212.secret import HIDDEN, Secret
from greenmine.collector.hj212.server.logged import packed, unpacked
from greenmine.collector.hj212.sm4 import Sm4Key, encrypt_segment
from tests.collector.hj212.hj212_frames import frame, segment

VALUES = "DataTime=20160801085857;a34002-Rtd=52.10,a34002-Flag=N;LA-Rtd=50.1"


@pytest.mark.parametrize(
    "plain",
    [segment(VALUES), segment("i13001-Info=//粉尘，噪声//", cn="3019"), segment("NewPW=654321", cn="1072"), segment()],
)
@pytest.mark.parametrize("key", [None, Sm4Key("0123456789abcdef" * 2)], ids=["plain", "encrypted"])
def test_a_frame_says_the_same_behind_the_log_without_its_passwords(plain: bytes, key: Sm4Key | None) -> None:
    raw = frame(plain if key is None else encrypt_segment(plain, key))
    payload = packed(raw, plain)
    logged = unpacked(payload)
    assert logged is not None
    assert b"123456" not in payload
    assert b"654321" not in payload
    expected = replace(read_message(plain), password=Secret(HIDDEN))
    if b"NewPW" not in plain:
        assert read_message(logged.segment) == expected
    assert (b"CP=&&{0x" in logged.raw) == (b"CP=&&{0x" in raw)
    assert Framer().feed(raw)[0].raw.replace(b"123456", b"***").replace(b"654321", b"***") == logged.raw


@pytest.mark.parametrize("payload", [b"", b"{}", b"##0000", b'{"frame":"##0000","more":1}', b'{"frame":1}', b"\xff"])
def test_what_no_gateway_packed_is_told_apart(payload: bytes) -> None:
    assert unpacked(payload) is None
