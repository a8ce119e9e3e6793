"""What a data segment says: header, time, fields and values of factors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache, lru_cache
from typing import Final, Literal

import msgspec

from greenmine.collector.hj212.codes import VERSIONS, Version, codes
from greenmine.collector.hj212.deviation import Deviation
from greenmine.collector.hj212.dialect import STANDARD, Dialect
from greenmine.collector.hj212.secret import Secret, is_secret
from greenmine.collector.hj212.segment import Pair, split_segment

Reason = Literal["empty", "not-a-number", "type-maximum", "sentinel", "absent"]
"""Why a value is null: nothing behind ``=``; no number; largest number of the factor's printed type; a number that stands
for "no value"; only the data flag was sent."""

TEXT_KINDS: Final = frozenset({"SN", "EFlag", "SampleTime", "CompleteTime", "SampleType", "ResultType"})
"""Kinds whose values are text even if they look like numbers."""
_FREE_KINDS: Final = frozenset({"Info"})
"""Kinds whose values are numbers or text."""
_SUMS: Final = frozenset({"Cou", "RS", "RT"})
"""Kinds that are not of the printed type of their factor."""

_ORDER: Final = ("QN", "ST", "CN", "PW", "MN", "Flag", "PNUM", "PNO")
_CANONICAL: Final = {name.lower(): name for name in _ORDER}
_PLAIN: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_LOOSE: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_ST: Final = re.compile(r"[0-9A-Z][0-9]")
_CN: Final = re.compile(r"[0-9]{4}")
_CODE: Final = re.compile(r"[0-9A-Za-z]+")
_DIGITS: Final = re.compile(r"[0-9]{1,9}")
_TAIL: Final = re.compile(r"[-+]?[0-9.]")
"""What a piece without a name begins with that a comma cut off a number."""
_SHORT: Final = 300
"""Digits that are a finite number whatever they are."""
_QN: Final = 17
_TIME: Final = 14
_LONGEST_NAME: Final = 40
"""Longer names than a factor's are not remembered [characters]."""
_SECONDS: Final = 1024
"""Times that are remembered, as many loggers send at the same one."""
_NAMES: Final = 4096
"""Names that are remembered, as loggers send the same ones in every frame."""


@dataclass(frozen=True, slots=True)
class SegmentField:
    """A name without a factor: inside CP, such as ``RtdInterval=30``, or an unknown one of the header."""

    name: str
    text: str | Secret | None
    """As sent; None: there was no ``=``. Passwords and keys do not show themselves."""


class Value(msgspec.Struct):
    """One value of a factor."""

    code: str
    """Factor as sent, such as ``a34002`` or, of an old device, ``011``."""
    kind: str | None
    """What follows the hyphen: Rtd, Avg, Min, Max, Cou, Data, RS ...; None: only a data flag was sent."""
    value: float | str | None
    """A number in the unit that the device sends, or text; None: see ``reason``."""
    text: str
    """As sent."""
    flag: str | None = None
    """Data flag as sent; None: none was."""
    reason: Reason | None = None
    """Why the value is None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a data segment says. Absent parts are None or empty; so are unreadable ones, which a deviation names."""

    version: Version | None = None
    """Edition by the version bits of Flag; 2005 if the header ends without Flag, which the later editions demand."""
    qn: str | None = None
    """Request number as sent: a time stamp of 17 digits that joins request and replies."""
    st: str | None = None
    cn: str | None = None
    password: Secret | None = None
    mn: str | None = None
    flag: int | None = None
    """0 to 255."""
    pnum: int | None = None
    """Packets of the message."""
    pno: int | None = None
    """Number of this packet, from 1. Each packet has a DataTime of its own, so each can be taken by itself."""
    time: int | None = None
    """DataTime [ms UTC]: the instant of 2011 and 2021, the begin of the period of 2051, 2061, 2031 and 2041."""
    datatime: str | None = None
    """DataTime as sent, if it is a time; else it is among the fields."""
    header: tuple[SegmentField, ...] = ()
    """Header parts that the standard does not have, or that could not be read."""
    fields: tuple[SegmentField, ...] = ()
    """Names of CP without a factor."""
    values: tuple[Value, ...] = ()
    deviations: tuple[Deviation, ...] = ()

    @property
    def answer(self) -> bool:
        """Whether an answer is wanted: bit 0 of Flag (HJ 212-2017, clause 6)."""
        return bool((self.flag or 0) & 1)

    @property
    def exchange(self) -> str | None:
        """QN of the exchange that it belongs to. Replies of 2005 have it in CP (HJ/T 212-2005, appendix C)."""
        if self.qn is not None:
            return self.qn
        return next((str(field.text) for field in self.fields if field.name == "QN"), None)

    @property
    def split(self) -> bool:
        """Whether packet numbers are present: bit 1 of Flag. The requests of 2005 set it and have none."""
        return bool((self.flag or 0) & 2)


def read_message(segment: bytes, dialect: Dialect = STANDARD) -> Message:
    """Read a data segment.

    Parameters
    ----------
    segment : bytes
        Any bytes; nothing is raised. What is not understood is kept as it is.
    dialect : Dialect
        How the device speaks.

    Returns
    -------
    Message
        A message without ``cn`` says nothing that could be acted upon.

    References
    ----------
    HJ 212-2017, clause 6 (segment, names of CP), Table 8 (data flags).
    """
    parts = split_segment(segment)
    found = dict.fromkeys(parts.deviations)
    header, rest = _header(parts.header, found)
    content = _Content(dialect, found)
    for group in parts.groups:
        content.add(group)
    content.close()
    if "Flag" not in header and (inside := content.take_header_flag()) is not None:
        header["Flag"] = inside
    flag = _flag(header, rest, found)
    qn, st, cn, mn, word = (header.get(name) for name in ("QN", "ST", "CN", "MN", "PW"))
    if qn is not None and (len(qn) != _QN or read_time(qn, dialect) is None):
        found[Deviation.BAD_QN] = None
    if st is not None and not _ST.fullmatch(st):
        found[Deviation.BAD_ST] = None
    if cn is not None and not _CN.fullmatch(cn):
        found[Deviation.BAD_CN] = None
    complete = Deviation.NO_CP not in found
    version = _version(flag, absent=complete and "Flag" not in header, found=found)
    if not mn and version != 2005:
        found[Deviation.NO_MN] = None
    pnum, pno = (_count(header, name, rest, found) for name in ("PNUM", "PNO"))
    if flag is not None and flag & 2 and version != 2005 and (pnum is None or pno is None):
        found[Deviation.SPLIT_WITHOUT_NUMBERS] = None
    if not (flag or 0) & 2 and (pnum is not None or pno is not None):
        found[Deviation.NUMBERS_WITHOUT_SPLIT] = None
    return Message(
        version=version,
        qn=qn,
        st=st,
        cn=cn or None,
        password=None if word is None else Secret(word),
        mn=mn,
        flag=flag,
        pnum=pnum,
        pno=pno,
        time=content.time,
        datatime=content.datatime,
        header=tuple(rest),
        fields=tuple(content.fields),
        values=tuple(content.values),
        deviations=tuple(found),
    )


def read_time(text: str, dialect: Dialect = STANDARD) -> int | None:
    """Read a time of 14 digits, or of 17 with milliseconds.

    Returns
    -------
    int or None
        Instant [ms UTC]; None if the text is no such time, or one before 1971.

    Examples
    --------
    >>> read_time("20160801084000")
    1470012000000
    """
    if len(text) not in {_TIME, _QN} or not (text.isascii() and text.isdigit()):
        return None
    begin = _read_second(text[:_TIME], dialect.zone)
    return None if begin is None else begin + int(text[_TIME:] or 0)


@lru_cache(_SECONDS)
def _read_second(digits: str, zone: tzinfo) -> int | None:
    if not "1971" <= digits[:4] < "9999":
        return None
    try:
        moment = datetime(
            int(digits[:4]),
            int(digits[4:6]),
            int(digits[6:8]),
            int(digits[8:10]),
            int(digits[10:12]),
            int(digits[12:]),
            tzinfo=zone,
        )
        return round(moment.timestamp()) * 1000
    except (ValueError, OverflowError):
        return None


def read_number(text: str) -> float | None:
    """A finite number of ASCII digits; None if the text is none."""
    if _LOOSE.fullmatch(text) is None:
        return None
    number = float(text)
    return number if abs(number) != float("inf") else None


def is_plain(text: str) -> bool:
    """Whether a number is written as the standard's types say: no plus, no exponent, digits on both sides of the point."""
    return _PLAIN.fullmatch(text) is not None


@cache
def known_kinds() -> dict[str, str]:
    """What may follow a factor's hyphen in any edition, by its spelling in small letters."""
    return {kind.lower(): kind for version in VERSIONS for kind in ["Flag", *codes(version).kinds]}


@cache
def known_names() -> frozenset[str]:
    """CP names without a factor, of all editions."""
    return frozenset(name for version in VERSIONS for name in codes(version).names)


@cache
def known_flags() -> frozenset[str]:
    """Data flags of all editions."""
    return frozenset(flag for version in VERSIONS for flag in codes(version).flags)


def _header(pairs: Iterable[Pair], found: dict[Deviation, None]) -> tuple[dict[str, str], list[SegmentField]]:
    header: dict[str, str] = {}
    rest: list[SegmentField] = []
    last = -1
    for name, text in pairs:
        known = name if name in _ORDER else _CANONICAL.get(name.lower())
        if known is None or text is None:
            found[Deviation.UNKNOWN_HEADER] = None
            rest.append(field_of(name, text))
        elif known in header:
            found[Deviation.REPEATED_NAME] = None
            rest.append(field_of(name, text))
        else:
            if known != name:
                found[Deviation.NAME_CASE] = None
            place = _ORDER.index(known)
            if place < last:
                found[Deviation.HEADER_ORDER] = None
            last = place
            header[known] = text
    return header, rest


def field_of(name: str, text: str | None) -> SegmentField:
    """A field, its text hidden if the name or the text itself is that of a password or key."""
    if text is None:
        return SegmentField(name, None)
    return SegmentField(name, Secret(text) if is_secret(name) else text)


def _flag(header: dict[str, str], rest: list[SegmentField], found: dict[Deviation, None]) -> int | None:
    text = header.get("Flag")
    if text is None:
        return None
    if _DIGITS.fullmatch(text) is None or int(text) > 255:
        found[Deviation.BAD_FLAG] = None
        rest.append(SegmentField("Flag", text))
        return None
    return int(text)


def _version(flag: int | None, *, absent: bool, found: dict[Deviation, None]) -> Version | None:
    if flag is None:
        return 2005 if absent else None
    bits = flag >> 2
    if bits < len(VERSIONS):
        return VERSIONS[bits]
    found[Deviation.UNKNOWN_VERSION] = None
    return None


def _count(header: dict[str, str], name: str, rest: list[SegmentField], found: dict[Deviation, None]) -> int | None:
    text = header.get(name)
    if text is None:
        return None
    if _DIGITS.fullmatch(text) is None or int(text) == 0:
        found[Deviation.BAD_PACKET_NUMBER] = None
        rest.append(SegmentField(name, text))
        return None
    return int(text)


@dataclass(frozen=True, slots=True)
class _Name:
    """The name of a value or data flag, such as ``a34002-Rtd``."""

    code: str
    kind: str
    """In the standard's spelling."""
    whole: str
    """Code and kind."""
    largest: float | None
    """Number that stands for "no value" by the printed type of the factor."""
    sentinels: frozenset[float]
    """Other numbers that do."""
    deviations: tuple[Deviation, ...]


def _parse_name(name: str) -> _Name | None:
    """The parts of a name; None if it is that of a field."""
    code, hyphen, kind = name.rpartition("-")
    if not hyphen or not code:
        return None
    known = known_kinds().get(kind.lower())
    standard = code if code in _largest() else _codes_by_small_letters().get(code.lower(), code)
    checks = (
        (Deviation.UNKNOWN_KIND, known is None),
        (Deviation.NAME_CASE, (known is not None and known != kind) or standard != code),
        (Deviation.ODD_CODE, known != "Flag" and standard not in _largest() and _CODE.fullmatch(code) is None),
    )
    kind = known or kind
    typed = kind not in _FREE_KINDS and kind not in _SUMS
    return _Name(
        code=code,
        kind=kind,
        whole=f"{code}-{kind}",
        largest=_largest().get(standard) if typed else None,
        sentinels=_sentinels()[None] if typed else frozenset(),
        deviations=tuple(deviation for deviation, holds in checks if holds),
    )


_remembered = lru_cache(_NAMES)(_parse_name)


class _Content:
    """What stands in CP, taken group by group."""

    def __init__(self, dialect: Dialect, found: dict[Deviation, None]) -> None:
        self.time: int | None = None
        self.datatime: str | None = None
        self.fields: list[SegmentField] = []
        self.values: list[Value] = []
        self._dialect = dialect
        self._found = found
        self._flags = known_flags()
        self._unflagged: dict[str, list[Value]] = {}
        self._told: set[str] = set()
        self._common: str | None = None

    def add(self, group: tuple[Pair, ...]) -> None:
        flags: dict[str, str] = {}
        here: list[Value] = []
        fields = False
        for written, text in _whole(group):
            name = (_remembered if len(written) <= _LONGEST_NAME else _parse_name)(written)
            if written == "Flag" and text is not None and text in self._flags:
                self._found[Deviation.FLAG_IN_CP] = None
                if here:
                    flags |= {value.code: text for value in here if value.code not in flags}
                else:
                    self._common = text
                continue
            if name is None or text is None:
                self._add_field(written, text)
                fields = True
                continue
            if name.deviations:
                self._found |= dict.fromkeys(name.deviations)
            if name.whole in self._told:
                self._found[Deviation.REPEATED_VALUE] = None
            self._told.add(name.whole)
            if name.kind == "Flag":
                if flags.get(name.code, "N") == "N":  # of two flags the one that says more
                    flags[name.code] = text
            else:
                here.append(self._value(name, text))
        self.values += here
        valued = {value.code for value in here}
        named = valued | flags.keys()
        if len(named) > 1 or (named and fields):
            self._found[Deviation.MIXED_GROUP] = None
        for value in here:
            if value.code in flags:
                _put_flag(value, flags[value.code])
            else:
                self._unflagged.setdefault(value.code, []).append(value)
        for code, flag in flags.items():
            if flag not in self._flags:
                self._found[Deviation.UNKNOWN_DATA_FLAG] = None
            if code not in valued:
                self._take_flag(code, flag)

    def close(self) -> None:
        """Give the values that have no data flag the one that stands alone in CP, if one does."""
        if self._common is not None:
            for values in self._unflagged.values():
                for value in values:
                    _put_flag(value, self._common)

    def take_header_flag(self) -> str | None:
        """The Flag of the header where it stands in CP; None: there is none."""
        for place, field in enumerate(self.fields):
            if field.name == "Flag" and isinstance(field.text, str) and _DIGITS.fullmatch(field.text):
                self._found[Deviation.FLAG_IN_CP] = None
                del self.fields[place]
                return field.text
        return None

    def _add_field(self, name: str, text: str | None) -> None:
        if name.lower() == "datatime" and self.datatime is not None and text != self.datatime:
            self._found[Deviation.SEVERAL_TIMES] = None
            self.time = None
        if name.lower() == "datatime" and self.datatime is None and text is not None:
            if name != "DataTime":
                self._found[Deviation.NAME_CASE] = None
            self.time = read_time(text, self._dialect)
            if self.time is not None:
                self.datatime = text
                if len(text) != _TIME:
                    self._found[Deviation.TIME_DIGITS] = None
                return
            self._found[Deviation.BAD_TIME] = None
        if name not in known_names():
            self._found[Deviation.UNKNOWN_NAME] = None
        self.fields.append(field_of(name, text))

    def _value(self, name: _Name, text: str) -> Value:
        code, kind = name.code, name.kind
        if not text:
            return Value(code, kind, None, text, None, "empty")
        if kind in TEXT_KINDS:
            return Value(code, kind, text, text)
        if len(text) < _SHORT and _PLAIN.fullmatch(text) is not None:
            number: float | None = float(text)
        else:
            number = read_number(text)
            if number is not None and not is_plain(text):
                self._found[Deviation.NUMBER_FORM] = None
        if number is None:
            if kind in _FREE_KINDS:
                return Value(code, kind, text, text)
            return Value(code, kind, None, text, None, "not-a-number")
        if number == name.largest:
            return Value(code, kind, None, text, None, "type-maximum")
        if number in name.sentinels or number in self._dialect.sentinels:
            return Value(code, kind, None, text, None, "sentinel")
        return Value(code, kind, number, text)

    def _take_flag(self, code: str, flag: str) -> None:
        """A data flag without a value in its own group is that of the values before it, or of none."""
        earlier = self._unflagged.pop(code, None)
        if earlier is None:
            self.values.append(Value(code, None, None, "", flag, "absent"))
            return
        self._found[Deviation.SPLIT_GROUP] = None
        for value in earlier:
            _put_flag(value, flag)


def _whole(group: tuple[Pair, ...]) -> Iterator[Pair]:
    """The pairs of a group, each number with what a comma in it cut off: ``5,5`` is no 5, and ``1,234.5`` no 1."""
    held: Pair | None = None
    for name, text in group:
        if held is not None and held[1] is not None and text is None and _TAIL.match(name):
            held = held[0], f"{held[1]},{name}"
            continue
        if held is not None:
            yield held
        held = name, text
    if held is not None:
        yield held


def _put_flag(value: Value, flag: str) -> None:
    value.flag = flag
    sentinels = _sentinels().get(flag)
    if sentinels is not None and value.value in sentinels:
        value.value, value.reason = None, "sentinel"


@cache
def _largest() -> dict[str, float | None]:
    """Largest number of each factor's printed type, by its code in any edition."""
    return {factor.code: factor.largest for factor in codes(VERSIONS[-1]).factors}


@cache
def _codes_by_small_letters() -> dict[str, str]:
    """Factor codes of all editions by what they are in small letters: loggers send them in capitals, too."""
    return {code.lower(): code for code in _largest()}


@cache
def _sentinels() -> dict[str | None, frozenset[float]]:
    """Numbers that stand for "no value", by the data flag beside which they do; None: beside any or none."""
    sentinels = codes(VERSIONS[-1]).sentinels
    return {
        flag: frozenset(sentinel.value for sentinel in sentinels if sentinel.flag == flag)
        for flag in {None, *(sentinel.flag for sentinel in sentinels)}
    }
