"""Frames and messages as JSON objects, one a line: what ``greenmine hj212 decode`` prints and ``encode`` reads."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from greenmine.collector.hj212.codes import VERSIONS, Version
from greenmine.collector.hj212.deviation import Deviation, Fault
from greenmine.collector.hj212.dialect import STANDARD, Dialect
from greenmine.collector.hj212.encode import EncodeError, encode_frame, encode_message
from greenmine.collector.hj212.frame import Frame, read_line
from greenmine.collector.hj212.message import Message, Reason, SegmentField, Value, is_plain, read_message
from greenmine.collector.hj212.secret import HIDDEN, Secret, hide, hide_in_segment, is_secret
from greenmine.collector.hj212.segment import read_text
from greenmine.collector.hj212.sm4 import unlocked, without_cipher

_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MASK: Final = re.compile(r"(^(?:(?!CP=&&).)*?\bPW\s*=\s*)\*\*\*", re.IGNORECASE | re.DOTALL)
"""Where the password stands in the header of a segment."""
_ZEROS: Final = 300
"""Most zeros that a number is written with."""
_MILLISECOND: Final = timedelta(milliseconds=1)


class FlagDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The bits of Flag."""

    answer: bool = False
    split: bool = False
    number: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    """Flag as a number. None when decoded: no Flag was sent; when encoding: from the version and the two bits."""


class ValueDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One value of a factor."""

    code: str
    kind: str | None
    value: Any
    flag: str | None
    reason: Reason | msgspec.UnsetType = msgspec.UNSET
    """Why the value is null."""
    text: str | msgspec.UnsetType = msgspec.UNSET
    """What was sent where the value is null."""


class FieldDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A name without a factor."""

    name: str
    value: str | None
    hidden: bool = False
    """Whether the value is not shown because it is or may be a password or key."""


class Length(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Length of the data segment [bytes]."""

    declared: int | None
    actual: int | None


class Check(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The check sum as sent, and as the segment has it."""

    given: str | None
    computed: str | None


class FrameDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=False):
    """One frame. Only ``cn`` must be there when encoding."""

    ok: bool = True
    error: Fault | None = None
    text: str | None = None
    version: int | None = None
    qn: str | None = None
    st: str | None = None
    cn: str | None = None
    mn: str | None = None
    pw: bool | str = False
    """Whether there was a password; it is never shown. When encoding, the password itself may stand here."""
    flag: FlagDocument | None = None
    pnum: int | None = None
    pno: int | None = None
    time: str | None = None
    values: list[ValueDocument] = []
    fields: list[FieldDocument] = []
    header: list[FieldDocument] = []
    deviations: list[Deviation] = []
    length: Length | None = None
    crc: Check | None = None
    segment: str | msgspec.UnsetType = msgspec.UNSET
    """The data segment of a sound frame whose order or writing the other members do not give back."""


def describe(frame: Frame, dialect: Dialect = STANDARD) -> FrameDocument:
    """A frame as a JSON object.

    Parameters
    ----------
    frame : Frame
        From a ``Framer``; of a damaged one, what could be read is shown.
    dialect : Dialect
        How the device speaks.

    Returns
    -------
    FrameDocument
        Without any password. What the header has that is not of the standard is shown only if the frame is sound and a
        password was read from it: else it might be what damage has made of one, which one check sum in 256 lets pass.
    """
    if not frame.found:
        return FrameDocument(ok=False, error=frame.fault, text=frame.text, flag=FlagDocument())
    frame, _ = unlocked(frame, (), dialect)
    segment = without_cipher(frame.segment) if frame.fault is Fault.KEY else frame.segment
    message = read_message(segment, dialect)
    fault, text = frame.fault, frame.text
    if fault is None and message.cn is None:
        fault, text = Fault.SYNTAX, "the data segment has no CN=, which says what the message is"
    password = message.password.reveal() if message.password else ""
    open_ = fault is None and password != ""
    document = FrameDocument(
        ok=fault is None,
        error=fault,
        text=text,
        version=message.version,
        qn=_hidden(message.qn),
        st=_hidden(message.st),
        cn=_hidden(message.cn),
        mn=_hidden(message.mn),
        pw=message.password is not None,
        flag=FlagDocument(answer=message.answer, split=message.split, number=message.flag),
        pnum=message.pnum,
        pno=message.pno,
        time=_iso(message.time, dialect),
        values=[_describe_value(value) for value in message.values],
        fields=[_describe_field(field, shown=True) for field in message.fields],
        header=[_describe_field(field, shown=open_) for field in message.header],
        deviations=[*frame.deviations, *message.deviations],
        length=Length(declared=frame.declared, actual=None if frame.crc is None else len(frame.segment)),
        crc=Check(given=frame.crc, computed=frame.computed),
    )
    told = fault is None and (open_ or not message.header) and "&" not in password
    if told and not _gives_back(document, message, password, dialect, shown := read_text(frame.segment)[0]):
        document.segment = hide_in_segment(shown)
    return document


def encode_document(document: FrameDocument, password: str, dialect: Dialect = STANDARD) -> bytes:
    """The frame of a JSON object: the inverse of ``describe``.

    Parameters
    ----------
    document : FrameDocument
        What ``describe`` made of a sound frame, or a new one. ``ok``, ``length``, ``crc`` and ``deviations`` play no
        part, except that a frame that was not sound is refused.
    password : str
        Written as PW where ``pw`` is true.
    dialect : Dialect
        How the receiver expects it.

    Raises
    ------
    EncodeError
        If the object cannot be a frame or contradicts itself.
    """
    if not document.ok:
        raise EncodeError("ok is false; a damaged frame is not written again as if it were sound")
    if not document.cn:
        raise EncodeError("cn is missing; it says what the message is, such as 2011")
    if isinstance(document.segment, str):
        return _encode_segment(document, document.segment, password, dialect)
    return encode_frame(encode_message(_message(document, password, dialect)), dialect)


def _encode_segment(document: FrameDocument, segment: str, password: str, dialect: Dialect) -> bytes:
    word = document.pw if isinstance(document.pw, str) else password
    text = _MASK.sub(lambda mask: mask[1] + word, segment, count=1) if document.pw else segment
    if HIDDEN in text:
        raise EncodeError(f"segment hides more than PW as {HIDDEN}; write what is to be sent in its place")
    try:
        frame = encode_frame(text.encode(), dialect)
    except UnicodeEncodeError:
        raise EncodeError("segment is not Unicode text") from None
    again = describe(read_line(frame, dialect), dialect)
    if _said(again) != _said(document):
        raise EncodeError("segment says something else than the other members; leave it out to have them written")
    return frame


def _said(document: FrameDocument) -> list[Any]:
    """What a document says, in a form that can be compared."""
    values = [(value.code, value.kind, _plain(value.value), value.flag) for value in document.values]
    fields = [(field.name, field.value) for field in (*document.header, *document.fields)]
    flag = document.flag or FlagDocument()
    return [
        (document.version, document.qn, document.st, document.cn, document.mn, bool(document.pw)),
        (flag.number, document.pnum, document.pno, document.time),
        values,
        fields,
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return float(bytes(value))
    return float(value) if isinstance(value, int | float | Decimal) else value


def _message(document: FrameDocument, password: str, dialect: Dialect) -> Message:
    word = document.pw if isinstance(document.pw, str) else password
    return Message(
        qn=document.qn,
        st=document.st,
        cn=document.cn,
        password=Secret(word) if document.pw is not False else None,
        mn=document.mn,
        flag=_flag(document),
        pnum=document.pnum,
        pno=document.pno,
        datatime=_digits(document.time, dialect),
        header=tuple(_field(field) for field in document.header),
        fields=tuple(_field(field) for field in document.fields),
        values=tuple(_value(value) for value in document.values),
    )


def _flag(document: FrameDocument) -> int | None:
    flag = document.flag or FlagDocument()
    if document.version is not None and document.version not in VERSIONS:
        raise EncodeError(f"version {document.version} is none of {', '.join(map(str, VERSIONS))}")
    bits = (2 if flag.split else 0) | (1 if flag.answer else 0)
    if flag.number is None:
        if document.version is None and bits:
            raise EncodeError("flag has no number; say the version, which is a part of it")
        if document.version is None or (document.version == 2005 and not bits):
            return None
        return VERSIONS.index(_version(document.version)) << 2 | bits
    if flag.number & 3 != bits:
        raise EncodeError(f"flag: number {flag.number} says something else than answer and split")
    if document.version is not None and flag.number >> 2 != VERSIONS.index(_version(document.version)):
        raise EncodeError(f"flag: number {flag.number} is not of version {document.version}")
    return flag.number


def _version(number: int) -> Version:
    return next(version for version in VERSIONS if version == number)


def _field(field: FieldDocument) -> SegmentField:
    if field.hidden:
        raise EncodeError(f"{field.name} was hidden; write its value and leave out hidden")
    return SegmentField(field.name, field.value)


def _value(document: ValueDocument) -> Value:
    value, text = document.value, document.text
    name = f"{document.code}-{document.kind}"
    match value:
        case None if document.kind is None:
            text = ""
        case None if text is msgspec.UNSET:
            raise EncodeError(f"{name} is null; say in text what is to be sent for it")
        case None:
            pass
        case bool():
            raise EncodeError(f"{name} is {value}; a value is a number, a text or null")
        case msgspec.Raw():
            text = bytes(value).decode()
        case int() | float() | Decimal():
            number = Decimal(str(value))
            if not number.is_finite() or abs(number.adjusted()) > _ZEROS:
                raise EncodeError(f"{name} is no number of a size that instruments send")
            text = format(number, "f")
        case str():
            text = value
        case _:
            raise EncodeError(f"{name} is neither a number, a text nor null")
    return Value(document.code, document.kind, None, str(text), document.flag)


def _describe_value(value: Value) -> ValueDocument:
    document = ValueDocument(code=hide(value.code), kind=value.kind, value=value.value, flag=_hidden(value.flag))
    if value.reason is not None:
        document.reason = value.reason
        document.text = hide(value.text)
    elif isinstance(value.value, str):
        document.value = hide(value.value)
    elif is_plain(value.text):
        document.value = msgspec.Raw(value.text.encode())
    return document


def _describe_field(field: SegmentField, *, shown: bool) -> FieldDocument:
    secret = isinstance(field.text, Secret) or not shown
    if field.text is None and not shown:
        return FieldDocument(name=HIDDEN, value=None, hidden=True)
    name = HIDDEN if field.text is None and is_secret(field.name) else hide(field.name)
    return FieldDocument(name=name, value=None if secret else _hidden(str(field.text)), hidden=secret)


def _hidden(text: str | None) -> str | None:
    return None if text is None else hide(text)


def _gives_back(document: FrameDocument, message: Message, password: str, dialect: Dialect, segment: str) -> bool:
    """Whether a document is enough to write its segment again. An empty password is not told from another."""
    if message.password and not password:
        return False
    try:
        return encode_message(_message(document, password, dialect)).decode() == segment
    except EncodeError:
        return False


def _iso(time: int | None, dialect: Dialect) -> str | None:
    if time is None:
        return None
    moment = (_EPOCH + time * _MILLISECOND).astimezone(dialect.zone)
    return moment.isoformat(timespec="milliseconds" if time % 1000 else "seconds")


def _digits(text: str | None, dialect: Dialect) -> str | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise EncodeError(f"time {text!r} has no offset; write it as 2026-11-22T10:00:00+08:00")
        moment = moment.astimezone(dialect.zone)
    except (ValueError, OverflowError) as error:
        if isinstance(error, EncodeError):
            raise
        raise EncodeError(f"time {text!r} is no time; write it as 2026-11-22T10:00:00+08:00") from None
    digits = f"{moment.year:04d}{moment:%m%d%H%M%S}"
    return digits + f"{moment.microsecond // 1000:03d}" if moment.microsecond else digits
