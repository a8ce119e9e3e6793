"""Messages to frames: always in the standard's form, whatever was tolerated when they were read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from greenmine.collector.hj212.dialect import LONGEST, STANDARD, Dialect
from greenmine.collector.hj212.message import Message, Value
from greenmine.collector.hj212.secret import Secret
from greenmine.collector.hj212.sm4 import Sm4Key, encrypt_segment

_IN_HEADER: Final = re.compile(r"[;&\r\n]|##")
_IN_NAME: Final = re.compile(r"[=;,&\r\n]|##|^\s|\s$")
_IN_CONTENT: Final = re.compile(r"[;,&\r\n]|##|^\s|\s$")
_IN_LOG: Final = re.compile(r"[&\r\n]|##|^//.*//.*//", re.DOTALL)


class EncodeError(ValueError):
    """A message cannot be a frame; the text says what of it, and what would be right."""


def encode_frame(segment: bytes, dialect: Dialect = STANDARD, key: Sm4Key | None = None) -> bytes:
    r"""A data segment as a frame.

    Parameters
    ----------
    segment : bytes
        Plain.
    dialect : Dialect
        How the other side speaks.
    key : Sm4Key or None
        By which its content is encrypted, where its command is of those that are; None: it stays plain.

    Raises
    ------
    EncodeError
        If four digits cannot declare its length.

    Examples
    --------
    >>> encode_frame(b"ST=91;CN=9014;CP=&&&&")
    b'##0021ST=91;CN=9014;CP=&&&&4980\r\n'
    """
    travels = segment if key is None else encrypt_segment(segment, key)
    length = len(segment if dialect.plain_length else travels)
    if length > LONGEST:
        raise EncodeError(f"the data segment has {length} bytes; a frame holds at most {LONGEST}")
    return b"##%04d%s%s\r\n" % (length, travels, dialect.checksum(segment).encode())


def encode_message(message: Message) -> bytes:
    """A message as a data segment.

    The header in the standard's order, unknown parts of it behind; in CP first DataTime, then the fields, then the
    values, those of one factor joined with commas and their data flag behind them. ``deviations`` play no part.

    Parameters
    ----------
    message : Message
        Texts are written as they are: ``datatime`` for the time, ``text`` for a value.

    Returns
    -------
    bytes
        UTF-8.

    Raises
    ------
    EncodeError
        If a text holds what separates, such as ``;`` or ``&``.
    """
    header = [
        _header(name, text)
        for name, text in (
            ("QN", message.qn),
            ("ST", message.st),
            ("CN", message.cn),
            ("PW", _shown(message.password)),
            ("MN", message.mn),
            ("Flag", message.flag),
            ("PNUM", message.pnum),
            ("PNO", message.pno),
        )
        if text is not None
    ]
    header += [_header(field.name, _shown(field.text)) for field in message.header]
    items = [] if message.datatime is None else [_content("DataTime", message.datatime)]
    items += [_content(field.name, _shown(field.text)) for field in message.fields]
    items += _groups(message.values)
    try:
        return f"{';'.join([*header, ''])}CP=&&{';'.join(items)}&&".encode()
    except UnicodeEncodeError as error:
        raise EncodeError(f"{error.object[error.start : error.end]!r} is no Unicode text") from None


def _groups(values: Iterable[Value]) -> Iterable[str]:
    """The items of values: those that follow each other with the same factor and flag, each kind once, are one."""
    group: list[Value] = []
    for value in values:
        if group and (
            (value.code, value.flag) != (group[0].code, group[0].flag)
            or any(value.kind == other.kind for other in group)
        ):
            yield _group(group)
            group = []
        group.append(value)
    if group:
        yield _group(group)


def _group(group: list[Value]) -> str:
    pairs = [_content(f"{value.code}-{value.kind}", value.text) for value in group if value.kind is not None]
    if group[0].flag is not None:
        pairs.append(_content(f"{group[0].code}-Flag", group[0].flag))
    return ",".join(pairs)


def _shown(text: str | Secret | None) -> str | None:
    return text.reveal() if isinstance(text, Secret) else text


def _header(name: str, text: str | float | None) -> str:
    return _pair(name, text, _IN_HEADER)


def _content(name: str, text: str | None) -> str:
    log = text is not None and len(text) > 3 and text.startswith("//") and text.endswith("//")
    return _pair(name, text, _IN_LOG if log else _IN_CONTENT)


def _pair(name: str, text: str | float | None, forbidden: re.Pattern[str]) -> str:
    if not name or _IN_NAME.search(name):
        raise EncodeError(f"the name {name!r} must not be empty and not hold = ; , & or ##")
    if text is None:
        return name
    text = str(text)
    if forbidden.search(text):
        raise EncodeError(f"the text of {name} holds what separates (; , & ## or a line end) or blanks at its ends")
    return f"{name}={text}"
