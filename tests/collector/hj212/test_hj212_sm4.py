"""Encryption of HJ 212-2025: the vector of GB/T 32907, the lengths of Annex A.2, frames in a stream, and hostile ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenmine.collector.hj212.deviation import Deviation, Fault
from greenmine.collector.hj212.dialect import STANDARD, Dialect
from greenmine.collector.hj212.document import describe
from greenmine.collector.hj212.encode import encode_frame
from greenmine.collector.hj212.frame import Framer, read_line
from greenmine.collector.hj212.sm4 import Sm4Key, encrypt_segment, read_keys, unlocked

VECTOR = "0123456789abcdeffedcba9876543210"
KEY = Sm4Key("0" * 16)
"""That of the standard's examples: sixteen times 0x30."""
OTHER = Sm4Key(VECTOR)
TRAVELS = Dialect(plain_length=False)
HEADER = "QN=20260801085857223;ST=32;CN=2011;PW=123456;MN=010000A8900016F000169DC0;Flag=9;CP=&&"


def segment(length: int) -> bytes:
    """A data segment of a length."""
    content = "DataTime=20260801085857;" + "w01018-Rtd=21.5,w01018-Flag=N;" * 200
    return (HEADER + content)[: length - 2].encode() + b"&&"


def test_the_vector_of_the_cipher() -> None:
    data = bytes.fromhex(VECTOR)
    assert OTHER.encrypt(data).hex() == "681edf34d206965e86b3e94f536e4246"
    assert OTHER.decrypt(OTHER.encrypt(data)) == data


@pytest.mark.parametrize(("plain", "travels"), [(295, 1128), (234, 811)])
def test_the_examples_print_the_plain_length_and_more_travels(plain: int, travels: int) -> None:
    # HJ 212-2025, A.2: the content of these segments has 13 and 9 whole blocks.
    blocks = {295: 13, 234: 9}[plain]
    header = HEADER.replace("010000A8900016F000169DC0", "")
    header = header.replace("MN=", "MN=" + "0" * (plain - 2 - 16 * blocks - 15 - len(header)))
    data = (header + "a34002-Rtd=52.1;" * blocks + "a34004-Flag=N;;").encode() + b"&&"
    assert len(data) == plain
    sent = encode_frame(data, STANDARD, KEY)
    assert sent[:6] == b"##%04d" % plain
    assert len(sent) - len(b"##LLLLCCCC\r\n") == travels
    assert sent[-16:-12] != b"0x00"
    assert b"CP=&&{0x" in sent
    frame = read_line(sent)
    assert (frame.fault, Deviation.PLAIN_LENGTH in frame.deviations) == (None, True)
    assert unlocked(frame, [KEY], STANDARD)[0].segment == data


@pytest.mark.parametrize("dialect", [STANDARD, TRAVELS])
@pytest.mark.parametrize("size", [1, 3, 64, 500, 5000])
def test_encrypted_frames_are_found_however_the_stream_is_cut(dialect: Dialect, size: int) -> None:
    sent = [segment(295), segment(120), b"ST=91;CN=9014;CP=&&&&", segment(1000)]
    stream = b"".join(encode_frame(data, dialect, KEY) for data in sent)
    framer = Framer(STANDARD)
    frames = [frame for at in range(0, len(stream), size) for frame in framer.feed(stream[at : at + size])]
    assert [unlocked(frame, [OTHER, KEY], STANDARD)[0].segment for frame in frames + framer.close()] == sent


def test_what_is_left_over_stays_plain_and_too_little_is_not_encrypted() -> None:
    data = segment(200)
    travels = encrypt_segment(data, KEY)
    left = (len(data) - len(HEADER) - 2) % 16
    assert travels.endswith(b"}" + data[-2 - left :])
    for short in (b"ST=32;CN=2011;CP=&&RF=1&&", b"ST=91;CN=9014;CP=&&&&", segment(200).replace(b"2011", b"1012")):
        assert encrypt_segment(short, KEY) == short
    for command in (b"1014", b"3020", b"2999"):
        assert b"{0x" in encrypt_segment(data.replace(b"2011", command), KEY)


def test_without_the_key_nothing_is_read() -> None:
    frame = read_line(encode_frame(segment(295), STANDARD, KEY))
    for keys in ((), (OTHER,)):
        assert unlocked(frame, keys, STANDARD)[0].fault is Fault.KEY
    document = describe(frame)
    assert (document.ok, document.error, document.mn) == (False, Fault.KEY, "010000A8900016F000169DC0")
    assert (document.values, document.fields) == ([], [])


def test_a_wrong_key_does_not_fit_by_chance() -> None:
    frame = read_line(encode_frame(segment(295), STANDARD, KEY))
    keys = [Sm4Key(f"{number:032x}") for number in range(2000)]
    assert unlocked(frame, keys, STANDARD)[1] is None


def test_keys_do_not_show_themselves(tmp_path: Path) -> None:
    assert VECTOR not in repr(Sm4Key(VECTOR)) + str(Sm4Key(VECTOR))
    path = tmp_path / "keys"
    for text, why in (("A = short", "line 1: a key of SM4 is 32"), ("s3cretkey", "line 1: each line is MN = KEY")):
        path.write_text(text)
        with pytest.raises(ValueError, match=why) as error:
            read_keys(path)
        assert text.partition("= ")[2] not in str(error.value) or not text.partition("= ")[2]
    path.write_text(f"# keys\nA = {VECTOR}\nA = 0000000000000000\nB={VECTOR}\n")
    keys = read_keys(path)
    assert keys["A"][0].encrypt(bytes(16)) == KEY.encrypt(bytes(16))
    assert [len(keys[mn]) for mn in ("A", "B")] == [2, 1]
    path.write_text(f"A = {VECTOR}\n" * 3)
    with pytest.raises(ValueError, match="more than 2 keys"):
        read_keys(path)


WHOLE = encode_frame(segment(200), STANDARD, KEY)
GOOD = encode_frame(b"ST=91;CN=9014;MN=1;Flag=4;CP=&&&&")


@pytest.mark.parametrize("cut", range(1, len(WHOLE), 7))
def test_a_frame_that_is_cut_takes_no_other_with_it(cut: int) -> None:
    framer = Framer(STANDARD)
    frames = framer.feed(WHOLE[:cut] + b"\r\n" + GOOD) + framer.pause()
    sound = [f for f in frames if f.fault is None and not f.encrypted]
    assert [frame.raw for frame in sound] == [GOOD]


hostile = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"##", b"##9999", b"CP=&&{", b"CP=&&{0x", b"0xE4,", b"}", b"&&", b"{0x12,0x34}", b"\r\n", b"##0021"]
    ),
    st.integers(0, len(WHOLE)).map(lambda at: WHOLE[:at]),
    st.integers(0, len(WHOLE)).map(lambda at: WHOLE[at:]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(hostile, max_size=12), st.integers(1, 50))
def test_whatever_comes_the_frames_depend_on_the_bytes_alone(parts: list[bytes], size: int) -> None:
    stream = b"".join(parts) + b"\r\n"
    whole, pieces = Framer(STANDARD), Framer(STANDARD)
    one = whole.feed(stream) + whole.close()
    many = [
        frame for at in range(0, len(stream), size) for frame in pieces.feed(stream[at : at + size])
    ] + pieces.close()
    assert one == many
    for frame in one:
        unlocked(frame, [KEY], STANDARD)
        describe(frame)


def test_an_endless_cipher_is_given_up_and_costs_little() -> None:
    framer = Framer(STANDARD)
    framer.feed(b"##0100CP=&&{")
    found = [frame for _ in range(20_000) for frame in framer.feed(b"0xE4,")]
    assert found
    assert framer.pending < 120_000
    assert framer.summed < 1_000_000
