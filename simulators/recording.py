"""A recording of messages: a file of JSON lines with one message each."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import msgspec

from greenmine.simulators.messages import Message


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    sent: int
    topic: str
    payload: str


def write_recording(path: Path, messages: Iterable[Message]) -> Generator[Message, None, None]:
    """Write messages to a file, ``{"sent": ms UTC, "topic": ..., "payload": text}`` on each line, and pass them on.

    Nothing is written before the first message is asked for; the file is complete when the generator is exhausted or closed.
    """
    encoder = msgspec.json.Encoder()
    with path.open("wb", buffering=1 << 20) as file:
        for message in messages:
            file.write(encoder.encode(_Line(message.time_sent, message.topic, message.payload.decode())) + b"\n")
            yield message


def read_recording(path: Path) -> Iterator[Message]:
    """Read what ``write_recording`` wrote.

    Raises
    ------
    ValueError
        For a line that is no message, with its number.
    """
    decoder = msgspec.json.Decoder(_Line)
    with path.open("rb") as file:
        for number, text in enumerate(file, start=1):
            try:
                line = decoder.decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise ValueError(
                    f'{path}, line {number}: {error}; {{"sent": ms UTC, "topic": text, "payload": text}} would be right'
                ) from error
            yield Message(line.sent, line.topic, line.payload.encode())
