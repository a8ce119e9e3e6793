"""What the field side of a connection says: reports in as many packets as they need, replies, and their numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from greenmine.collector.hj212.codes import VERSIONS, Version
from greenmine.collector.hj212.dialect import STANDARD, Dialect
from greenmine.collector.hj212.encode import encode_message
from greenmine.collector.hj212.message import Message, SegmentField, Value
from greenmine.collector.hj212.rules import rule
from greenmine.collector.hj212.secret import Secret

INTERACTION: Final = "91"
"""ST of replies."""
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who reports.

    Parameters
    ----------
    mn : str
        Its number.
    st : str
        System code of its data.
    password : Secret
        Sent as PW.
    version : {2005, 2017, 2025}
        Edition that it speaks.
    """

    mn: str
    st: str
    password: Secret
    version: Version = 2017


def write_time(instant: int, dialect: Dialect = STANDARD) -> str:
    """An instant [ms UTC] in the 14 digits of the standard; milliseconds are cut off.

    Examples
    --------
    >>> write_time(1470012000000)
    '20160801084000'
    """
    return f"{(_EPOCH + timedelta(seconds=instant // 1000)).astimezone(dialect.zone):%Y%m%d%H%M%S}"


class Numbers:
    """Numbers QN of messages: the time of 17 digits, never twice and never less than the one before.

    Parameters
    ----------
    now : callable
        The clock [ms UTC].
    dialect : Dialect
        Has its zone.
    """

    def __init__(self, now: Callable[[], int] | None = None, dialect: Dialect = STANDARD) -> None:
        self._now = now or (lambda: time.time_ns() // 1_000_000)
        self._dialect = dialect
        self._last = 0

    def next(self) -> str:
        """The next number."""
        self._last = max(self._last + 1, self._now())
        return f"{write_time(self._last, self._dialect)}{self._last % 1000:03d}"


def flag(version: Version, *, answer: bool, split: bool = False) -> int:
    """Flag of a message: version bits, packet numbers, answer wanted."""
    return VERSIONS.index(version) << 2 | split << 1 | answer


def compose(
    sender: Sender,
    cn: str,
    instant: int,
    values: Sequence[Value],
    numbers: Numbers,
    *,
    answer: bool = True,
    most: int | None = None,
    backfilled: bool = False,
    dialect: Dialect = STANDARD,
) -> list[Message]:
    """A report as the messages that it takes.

    Parameters
    ----------
    sender : Sender
        Who reports.
    cn : str
        What is reported, such as 2011.
    instant : int
        DataTime [ms UTC].
    values : sequence of Value
        Those of a factor one after the other.
    numbers : Numbers
        Give each packet its own QN.
    answer : bool
        Whether each packet is to be answered.
    most : int or None
        Most factors in a packet; None: as many as the standard's longest CP holds.
    backfilled : bool
        Whether it is filled in afterwards, which RF=1 tells (HJ 212-2025); earlier editions have no word for that.
    dialect : Dialect
        Has the zone.

    Returns
    -------
    list of Message
        One, or if one does not hold it all, packets numbered from 1, each with DataTime and its share of the factors
        (HJ 212-2017, C.49 and C.50). Without values, none.
    """
    datatime = write_time(instant, dialect)
    marks = (SegmentField("RF", "1"),) if backfilled and sender.version == 2025 else ()
    packets: list[list[Value]] = []
    room = 0
    for _, group in groupby(values, key=lambda value: value.code):
        factor = list(group)
        length = len(encode_message(Message(values=tuple(factor)))) - len("CP=&&&&") + len(";")
        full = most is not None and packets and len({value.code for value in packets[-1]}) >= most
        if not packets or full or length > room:
            packets.append([])
            room = (
                int(rule("content"))
                - len(f"CP=&&DataTime={datatime}&&")
                - sum(len(f";{f.name}={f.text}") for f in marks)
            )
        packets[-1] += factor
        room -= length
    split = len(packets) > 1
    return [
        Message(
            version=sender.version,
            qn=numbers.next(),
            st=sender.st,
            cn=cn,
            password=sender.password,
            mn=sender.mn,
            flag=flag(sender.version, answer=answer, split=split),
            pnum=len(packets) if split else None,
            pno=number if split else None,
            time=instant,
            datatime=datatime,
            fields=marks,
            values=tuple(packet),
        )
        for number, packet in enumerate(packets, start=1)
    ]


def say(
    sender: Sender,
    cn: str,
    qn: str | None,
    fields: Mapping[str, str] | None = None,
    *,
    st: str = INTERACTION,
    answer: bool = False,
) -> Message:
    """A message without values, such as the notice 1013."""
    return Message(
        version=sender.version,
        qn=qn,
        st=st,
        cn=cn,
        password=sender.password,
        mn=sender.mn,
        flag=flag(sender.version, answer=answer),
        fields=tuple(SegmentField(name, text) for name, text in (fields or {}).items()),
    )


def reply(
    sender: Sender, cn: str, qn: str, fields: Mapping[str, str] | None = None, *, st: str = INTERACTION
) -> Message:
    """What is said to the request or notice with a QN, such as 9011; in the edition of 2005 that QN stands in CP."""
    if sender.version == 2005:
        return say(sender, cn, None, {"QN": qn, **(fields or {})}, st=st)
    return say(sender, cn, qn, fields, st=st)
