"""``greenmine hj212``: HJ 212 frames to JSON and back."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import cyclopts
import msgspec

from greenmine.collector.hj212.crc import Variant
from greenmine.collector.hj212.dialect import Dialect
from greenmine.collector.hj212.document import FrameDocument, describe, encode_document
from greenmine.collector.hj212.encode import EncodeError
from greenmine.collector.hj212.frame import Frame, Framer, no_frame, read_line
from greenmine.collector.hj212.message import read_message
from greenmine.collector.hj212.sm4 import Sm4Key, check_sm4, read_keys, unlocked

app = cyclopts.App(name="hj212", help="Read and write frames of HJ 212, the protocol of data loggers in China.")

Source = Annotated[Path, cyclopts.Parameter(allow_leading_hyphen=True)]
Password = Annotated[str, cyclopts.Parameter(env_var="GREENMINE_HJ212_PASSWORD")]

EXAMPLE: Final = "123456"
"""Password of the standard's examples."""
_INPUT: Final = Path("-")
_PIECE: Final = 65_536
_LONGEST_LINE: Final = 65_536
"""Longest line that is looked at [bytes]; no frame comes near it."""
_LONGEST_OBJECT: Final = 1_048_576
"""Longest JSON object that is read [bytes]; no frame needs more."""


@app.command
def decode(
    file: Source = _INPUT,
    /,
    *,
    lines: bool = False,
    crc: Variant = "hj212",
    keys: Path | None = None,
    counts: bool = False,
) -> None:
    """Print one JSON object for each frame, damaged ones included.

    Passwords are never printed. Exits with 0 whatever the frames are like, and with 1 if the file cannot be read.

    Parameters
    ----------
    file : Path
        File with frames as they come over the line; - or nothing: standard input.
    lines : bool
        Every line of the input is one frame without its line end, and gives exactly one line of output.
    crc : {"hj212", "modbus-high", "modbus-low"}
        Check sum that the device uses: the standard's, or CRC-16/MODBUS with its high or its low byte first.
    keys : Path, optional
        File with a line MN = KEY for each key of SM4, by which encrypted frames are read. Keys are never printed.
    counts : bool
        In the end, write to standard error how often each error and each deviation occurred.
    """
    dialect = Dialect(crc=crc)
    known = _keys(keys)
    errors: Counter[str] = Counter()
    deviations: Counter[str] = Counter()
    encoder = msgspec.json.Encoder()
    with _opened(file) as stream, _output() as out:
        for frames in _by_line(stream, dialect) if lines else _by_stream(stream, dialect):
            for frame in frames:
                mn = read_message(frame.segment).mn if frame.encrypted else None
                document = describe(unlocked(frame, known.get(mn or "", ()), dialect)[0], dialect)
                out.write(encoder.encode(document) + b"\n")
                if document.error is not None:
                    errors[document.error] += 1
                deviations.update(document.deviations)
            out.flush()
    if counts:
        sys.stderr.write(json.dumps({"errors": errors, "deviations": deviations}) + "\n")


def _keys(path: Path | None) -> dict[str, tuple[Sm4Key, ...]]:
    if path is None:
        return {}
    try:
        check_sm4()
        return read_keys(path)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None


@app.command
def encode(file: Source = _INPUT, /, *, password: Password = EXAMPLE, crc: Variant = "hj212") -> None:
    """Write the frame of each JSON object: the inverse of decode.

    Writes UTF-8, capital check sums and CR LF. An object that cannot be a frame is named on standard error, the others
    are written, and it exits with 1.

    Parameters
    ----------
    file : Path
        File with one JSON object a line, such as decode prints; - or nothing: standard input.
    password : str
        PW of the frames whose object has "pw": true; decode prints no more of it than that. Better given in the
        environment, where other users do not see it. Without it, 123456 as in the standard's examples.
    crc : {"hj212", "modbus-high", "modbus-low"}
        Check sum that the receiver expects.
    """
    dialect = Dialect(crc=crc)
    decoder = msgspec.json.Decoder(FrameDocument, float_hook=Decimal)
    refused = 0
    with _opened(file) as stream, _output() as out:
        for number, line in enumerate(_lines(stream, _LONGEST_OBJECT), start=1):
            if line is not None and not line.strip():
                continue
            try:
                if line is None:
                    raise EncodeError(f"is longer than {_LONGEST_OBJECT} bytes")  # noqa: TRY301 - one way out for all
                out.write(encode_document(decoder.decode(line), password, dialect))
            except (EncodeError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                refused += 1
                sys.stderr.write(f"line {number}: {error}\n")
            out.flush()
    if refused:
        raise SystemExit(1)


def _by_stream(stream: BinaryIO, dialect: Dialect) -> Iterator[list[Frame]]:
    framer = Framer(dialect)
    read = getattr(stream, "read1", stream.read)
    while piece := read(_PIECE):
        yield framer.feed(piece)
    yield framer.close()


def _by_line(stream: BinaryIO, dialect: Dialect) -> Iterator[list[Frame]]:
    for line in _lines(stream, _LONGEST_LINE):
        if line is None:
            yield [no_frame(f"the line is longer than {_LONGEST_LINE} bytes")]
        else:
            yield [read_line(line, dialect)]


def _lines(stream: BinaryIO, longest: int) -> Iterator[bytes | None]:
    """The lines of a stream; None for one that is too long, which is read over."""
    while line := stream.readline(longest):
        if len(line) < longest or line.endswith(b"\n"):
            yield line
            continue
        rest = stream.readline(longest)
        if not rest:
            yield line
            continue
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(longest)
        yield None


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if file == _INPUT:
        yield sys.stdin.buffer
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        sys.stderr.write(f"{file} cannot be read: {error.strerror}\n")
        raise SystemExit(1) from None
    with stream:
        yield stream


@contextmanager
def _output() -> Iterator[BinaryIO]:
    """Standard output; a reader that has read enough, such as head, ends the program."""
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
