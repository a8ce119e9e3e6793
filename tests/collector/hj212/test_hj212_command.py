"""``greenmine hj212 decode`` and ``encode``, run as programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.collector.hj212.hj212_frames import DUST, EMPTY, HOUR, frame, segment

PROGRAM = "from greenmine.cli.hj212 import app; app()"


def run(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False, env=environment or None)


def objects(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_decode_prints_one_object_for_each_frame_of_standard_input(arguments: tuple[str, ...]) -> None:
    done = run("decode", *arguments, stdin=b"x" + DUST + EMPTY[:40] + HOUR)
    assert done.returncode == 0
    assert [(found["ok"], found["error"]) for found in objects(done.stdout)] == [
        (True, None),
        (False, "truncated"),
        (True, None),
    ]
    assert b"123456" not in done.stdout + done.stderr


def test_decode_reads_a_file_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    path.write_bytes(b"x" + DUST + b"y" + HOUR[:-1] + EMPTY[:50])
    done = run("decode", str(path), "--counts")
    assert len(objects(done.stdout)) == 3
    counts = json.loads(done.stderr)
    assert counts["errors"] == {"truncated": 1}
    assert counts["deviations"]["leading-junk"] == 2


def test_lines_gives_exactly_one_object_for_each_line() -> None:
    lines = [DUST[:-2], b"", b"junk", EMPTY[:-2] + b"\r", b"x" * 200_000, DUST[:-2] + HOUR[:-2], HOUR[:-2]]
    done = run("decode", "--lines", stdin=b"\n".join(lines))
    assert [found["ok"] for found in objects(done.stdout)] == [True, False, False, True, False, False, True]


@pytest.mark.parametrize(("arguments", "ok"), [((), False), (("--crc", "modbus-low"), True)])
def test_a_check_sum_of_modbus_is_taken_when_asked_for(arguments: tuple[str, ...], ok: bool) -> None:
    data = frame(segment(), "modbus-low")
    assert [found["ok"] for found in objects(run("decode", *arguments, stdin=data).stdout)] == [ok]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run("decode", str(tmp_path / "missing"))
    assert done.returncode == 1
    assert b"missing cannot be read: No such file" in done.stderr


def test_encode_is_the_inverse_of_decode() -> None:
    data = DUST + HOUR + EMPTY + frame(segment("BeginTime=1,EndTime=2"))
    done = run("encode", "-", stdin=run("decode", stdin=data).stdout)
    assert (done.stdout, done.returncode) == (data, 0)


def test_encode_writes_the_password_of_the_option_or_the_environment() -> None:
    printed = run("decode", stdin=DUST).stdout
    assert b"PW=abcdef;" in run("encode", "--password", "abcdef", stdin=printed).stdout
    assert b"PW=fedcba;" in run("encode", stdin=printed, GREENMINE_HJ212_PASSWORD="fedcba").stdout


def test_encode_names_each_line_that_it_refuses_and_writes_the_others() -> None:
    lines = [
        b'{"cn": "9015", "st": "91"}',
        b"",
        b"{",
        b'{"cn": 1}',
        b'{"st": "91"}',
        b'{"cm": "9015"}',
        b'{"cn": "9013"}',
    ]
    done = run("encode", stdin=b"\n".join(lines))
    assert done.returncode == 1
    assert [found["cn"] for found in objects(run("decode", stdin=done.stdout).stdout)] == ["9015", "9013"]
    assert [line.split(b":")[0] for line in done.stderr.splitlines()] == [b"line 3", b"line 4", b"line 5", b"line 6"]


def test_a_reader_that_has_read_enough_ends_the_program_quietly() -> None:
    command = [sys.executable, "-c", PROGRAM, "decode"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        program.stdin.write(DUST * 10)
        program.stdin.close()
        assert program.stderr.read() == b""
        assert program.wait(timeout=60) == 0
