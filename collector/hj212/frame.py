"""Frames in a stream of bytes: where each begins and ends, whether its length and check sum hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final

from greenmine.collector.hj212.crc import fitting, is_crc
from greenmine.collector.hj212.deviation import Deviation, Fault
from greenmine.collector.hj212.dialect import STANDARD, Dialect

SEGMENT: Final = 1024
"""Longest data segment that the standard allows [bytes] (HJ 212-2017, clause 6)."""

_LINE_END: Final = b"\r\n"
_BEGIN: Final = re.compile(rb"##(?!#)")
_HEAD: Final = re.compile(rb"##[0-9]{4}")
_END: Final = re.compile(rb"[\r\n]|##[0-9]{4}|(?<!CP=)&&[0-9A-Fa-f]{4}")
"""Where a frame whose length does not hold may end: a line end, the head of the next frame, or the end of CP with a
check sum. ``CP=&&a010`` opens CP: it is a factor code, no check sum."""
CIPHER: Final = re.compile(rb"CP=&&(\{0x[0-9A-Fa-f]{2}(?:,0x[0-9A-Fa-f]{2})*\})")
"""What is encrypted, as HJ 212-2025 writes it (Annex A.2); fewer than 16 plain bytes and ``&&`` follow."""
_OPENING: Final = re.compile(rb"CP=&&(?:\{0x)?|[\r\n]|##")
"""What tells whether a segment is encrypted; where it is not, something else comes first."""
_CIPHER_END: Final = re.compile(rb"[^0-9A-Fa-fx,{]")
_HEADER: Final = 400
"""Bytes in which CP begins."""
_BLOCK: Final = 16
_TAIL: Final = re.compile(rb"(?<!CP=)&&[^&]?([0-9A-Za-z]{4})\Z")
_NO_END: Final = frozenset("\r\n#&")
"""What stands in no check sum, not even in a damaged one: where it does, the frame ends elsewhere."""
_LONGEST_END: Final = 6
"""Bytes of the longest of the ends that ``_END`` knows."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it was received, or bytes that hold none.

    The bytes may hold a password, so they are not part of the representation.
    """

    raw: bytes = field(repr=False)
    """All its bytes from ``##`` to the line end; empty if no frame was found."""
    segment: bytes = field(repr=False)
    """Its data segment: of the declared length if that holds, else up to where the frame ends."""
    declared: int | None
    """Length that it declares [bytes]; None: not four digits."""
    crc: str | None
    """Check sum that it carries; None: it has none."""
    computed: str | None
    """Check sum of its segment in the dialect of the device; None: not computed, as there is nothing to compare."""
    fault: Fault | None = None
    """Why it is not to be trusted; None: length and check sum hold."""
    text: str | None = None
    """The fault in words."""
    junk: int = 0
    """Bytes before it that belong to no frame, line ends apart."""
    deviations: tuple[Deviation, ...] = ()
    encrypted: bool = False
    """Whether its content came encrypted. Until that is undone the check sum, which is over the plain segment, is not judged."""

    @property
    def found(self) -> bool:
        """Whether there is a frame at all."""
        return bool(self.raw)


class Framer:
    """Finds the frames in a stream, however it is cut into pieces.

    The declared length is believed if the check sum holds behind it, or if a frame visibly ends there; else the frame
    ends at the next line end, at the end of CP or at the next ``##`` with four digits, and the search goes on behind it,
    so that no damaged frame takes a sound one with it. Which frames come out depends on the bytes alone, not on the
    pieces they came in. Every byte is looked at a bounded number of times, and less than one piece and two longest
    frames are kept.

    Parameters
    ----------
    dialect : Dialect
        How the device speaks.
    """

    __slots__ = (
        "_buffer",
        "_cipher",
        "_closed",
        "_crc_bytes",
        "_dialect",
        "_ended",
        "_heads",
        "_junk",
        "_searched",
        "_seen",
    )

    def __init__(self, dialect: Dialect = STANDARD) -> None:
        self._dialect = dialect
        self._buffer = bytearray()
        self._junk = 0
        self._heads = 0
        self._seen = 0
        self._searched = 0
        self._cipher = 0
        self._ended = False
        self._closed = False
        self._crc_bytes = 0

    @property
    def pending(self) -> int:
        """Bytes kept because what they are is not yet known."""
        return len(self._buffer)

    @property
    def summed(self) -> int:
        """Bytes that went through a check sum so far: the bulk of the work."""
        return self._crc_bytes

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next piece of the stream.

        Parameters
        ----------
        data : bytes
            Any number of bytes.

        Returns
        -------
        list of Frame
            What has become certain. A frame is certain when two bytes behind it show its line end; see ``pause``.
        """
        self._buffer += data
        return self._take()

    def pause(self) -> list[Frame]:
        """Take what is certain if nothing follows: the sender has paused.

        That is a frame that is whole but for its line end, which many devices do not send, and a frame too short for
        its length with a further one behind it. A server calls this when nothing has come for a moment, and so answers
        a device before it sends again.
        """
        self._ended = True
        frames = self._take()
        self._ended = False
        return frames

    def close(self) -> list[Frame]:
        """Take what is left at the end of the stream: a truncated frame, or bytes that belong to none."""
        self._ended = self._closed = True
        frames = self._take()
        self._ended = self._closed = False
        if self._junk:
            frames.append(no_frame(f"{self._junk} bytes without ##, with which a frame begins"))
            self._junk = 0
        return frames

    def _take(self) -> list[Frame]:
        buffer = self._buffer
        frames: list[Frame] = []
        position = 0
        while True:
            begin = _BEGIN.search(buffer, position)
            if begin is None:
                kept = 1 if buffer.endswith(b"#") and len(buffer) > position and not self._closed else 0
                start = len(buffer) - kept
                self._skip(position, start)
                position = start
                break
            start = begin.start()
            self._skip(position, start)
            position = start
            found = self._resolve(start)
            if found is None:
                break
            frame, position = found
            frames.append(frame)
            self._junk = self._heads = self._seen = self._searched = self._cipher = 0
        if position:
            del buffer[:position]
        return frames

    def _skip(self, start: int, end: int) -> None:
        if start < end:
            self._junk += len(self._buffer[start:end].translate(None, _LINE_END))

    def _resolve(self, start: int) -> tuple[Frame, int] | None:
        """The frame at ``start`` and where the next may begin; None while more bytes are needed."""
        buffer = self._buffer
        if len(buffer) < start + 6 and not self._closed:
            return None
        head = bytes(buffer[start + 2 : start + 6])
        if not head.isdigit() or len(head) < 4:
            digits = len(head) - len(head.lstrip(b"0123456789"))
            return self._damaged(start, start + 2 + digits, None)
        declared, body = int(head), start + 6
        opening = self._opening(body)
        if opening is None and not self._ended:
            return None
        if opening is not None and opening > 0:
            return self._resolve_cipher(start, body, declared, opening)
        if declared > self._dialect.limit:
            return self._damaged(start, body, declared)
        end = body + declared + 4
        heads = self._count_heads(start, end)
        if heads > 1:
            return self._damaged(start, body, declared)
        if len(buffer) < end:
            given_up = self._closed or (self._ended and heads > 0)
            return self._damaged(start, body, declared) if given_up else None
        segment = bytes(buffer[body : end - 4])
        given = bytes(buffer[end - 4 : end]).decode("latin-1")
        computed = self._sum(segment)
        if computed != given.upper():
            follows = bytes(buffer[end : end + 2])
            if len(follows) < 2 and not self._ended:
                return None
            ends = follows in {b"", b"##"} or follows[:1] in {b"\r", b"\n"}
            closes = segment.endswith(b"&&") and not segment.endswith(b"CP=&&")
            if heads or b"\n" in segment or not _NO_END.isdisjoint(given) or not (ends or closes):
                return self._damaged(start, body, declared)
        return self._finish(start, body, end, declared, given, computed)

    def _opening(self, body: int) -> int | None:
        """Where the encrypted content of a segment begins; 0: it is plain; None: more bytes are needed to tell."""
        buffer = self._buffer
        match = _OPENING.search(buffer, body, body + _HEADER)
        if match is None:
            return 0 if len(buffer) >= body + _HEADER else None
        if match[0].startswith(b"CP"):
            if match[0].endswith(b"{0x"):
                return match.start()
            told = len(buffer) >= match.end() + 3 or not b"{0x".startswith(bytes(buffer[match.end() : match.end() + 3]))
            return 0 if told else None
        return 0

    def _resolve_cipher(self, start: int, body: int, declared: int, opening: int) -> tuple[Frame, int] | None:
        """The encrypted frame at ``start``, which ends where its form says."""
        buffer = self._buffer
        cap = body + longest_travel(self._dialect.limit)
        end = _CIPHER_END.search(buffer, max(opening + 6, start + self._cipher), cap)
        if end is None:
            if len(buffer) < cap and not self._ended:
                self._cipher = len(buffer) - start
                return None
            return self._damaged(start, body, declared)
        self._cipher = end.start() - start
        match = CIPHER.match(buffer, opening, end.end())
        if match is None or len(cipher_bytes(match)) % _BLOCK:
            return self._damaged(start, body, declared)
        close = buffer.find(b"&&", match.end(), match.end() + _BLOCK + 1)
        if close < 0 or len(buffer) < close + 6:
            more = len(buffer) < match.end() + _BLOCK + 1 or close >= 0
            return None if more and not self._ended else self._damaged(start, body, declared)
        given = bytes(buffer[close + 2 : close + 6]).decode("latin-1")
        if not _NO_END.isdisjoint(given):
            return self._damaged(start, body, declared)
        plain = close + 2 - body - (match.end() - match.start(1)) + len(cipher_bytes(match))
        return self._finish(start, body, close + 6, declared, given, None, plain)

    def _count_heads(self, start: int, end: int) -> int:
        """Heads of further frames inside the declared extent, counted up to two.

        One may be text; of two, and a length that spans them, the length is wrong. So no byte enters the check sums of
        more than a few frames, whatever a sender makes up.
        """
        position = start + max(self._seen, 2)
        while self._heads < 2:
            match = _HEAD.search(self._buffer, position, min(end, len(self._buffer)))
            if match is None:
                self._seen = max(min(end, len(self._buffer)) - start - _LONGEST_END + 1, self._seen)
                break
            self._heads += 1
            position = match.end()
            self._seen = position - start
        return self._heads

    def _damaged(self, start: int, body: int, declared: int | None) -> tuple[Frame, int] | None:
        """The frame at ``start``, whose length does not hold, up to where it ends."""
        buffer = self._buffer
        cap = body + self._dialect.limit + 10
        match = _END.search(buffer, max(body, start + self._searched), min(cap, len(buffer)))
        if match is None:
            if len(buffer) < cap and not self._closed:
                self._searched = len(buffer) - start - _LONGEST_END + 1
                return None
            end = min(cap, len(buffer))
        else:
            end = match.end() if match[0].startswith(b"&&") else match.start()
        tail = _TAIL.search(buffer, max(body, end - _LONGEST_END - 1), end)
        if tail is None:
            return self._finish(start, body, end, declared, None, None)
        given = tail[1].decode("ascii")
        computed = self._sum(bytes(buffer[body : end - 4]))
        return self._finish(start, body, end, declared, given, computed)

    def _finish(
        self,
        start: int,
        body: int,
        end: int,
        declared: int | None,
        given: str | None,
        computed: str | None,
        plain: int | None = None,
    ) -> tuple[Frame, int] | None:
        """The frame from ``start`` to ``end`` with its line end; None while that may still come.

        ``plain`` is the length of the plain segment of an encrypted one.
        """
        buffer = self._buffer
        line_end = bytes(buffer[end : end + 2])
        if not self._ended and line_end in {b"", b"\r"}:
            return None
        if line_end != _LINE_END:
            line_end = line_end[:1] if line_end[:1] in {b"\r", b"\n"} else b""
        segment = bytes(buffer[body:end] if given is None else buffer[body : end - 4])
        fault, text = self._judge(segment, declared, given, computed, plain)
        deviations = [
            deviation
            for deviation, holds in (
                (Deviation.LEADING_JUNK, self._junk > 0),
                (Deviation.LONG_SEGMENT, (len(segment) if plain is None else plain) > SEGMENT),
                (Deviation.PLAIN_LENGTH, plain is not None and declared == plain),
                (Deviation.LOWER_CASE_CRC, given is not None and is_crc(given) and given != given.upper()),
                (Deviation.MISSING_CARRIAGE_RETURN, line_end == b"\n"),
                (Deviation.MISSING_LINE_FEED, b"\n" not in line_end),
            )
            if holds
        ]
        after = end + len(line_end)
        raw = bytes(buffer[start:after])
        frame = Frame(
            raw, segment, declared, given, computed, fault, text, self._junk, tuple(deviations), plain is not None
        )
        return frame, after

    def _judge(
        self, segment: bytes, declared: int | None, given: str | None, computed: str | None, plain: int | None
    ) -> tuple[Fault | None, str | None]:
        if declared is None:
            return Fault.LENGTH, "behind ## come no four digits; the length is four digits, such as 0101"
        if plain is not None:
            return self._judge_cipher(segment, declared, given or "", plain)
        if declared > self._dialect.limit:
            return Fault.LENGTH, f"declares {declared} bytes; at most {self._dialect.limit} are taken"
        if given is None:
            return Fault.TRUNCATED, f"declares {declared} bytes and ends after {len(segment)} without a check sum"
        if declared != len(segment):
            return Fault.LENGTH, f"declares {declared} bytes and has {len(segment)}"
        if not is_crc(given):
            return Fault.CRC, "the check sum is not four hexadecimal digits"
        if computed != given.upper():
            fits = fitting(segment, given)
            hint = f"; {given} is that of {fits}, which the profile of the device may name" if fits else ""
            return (
                Fault.CRC,
                f"carries the check sum {given}; that of its bytes is {computed} ({self._dialect.variant(segment)}){hint}",
            )
        return None, None

    def _judge_cipher(self, segment: bytes, declared: int, given: str, plain: int) -> tuple[Fault | None, str | None]:
        if plain > self._dialect.limit:
            return Fault.LENGTH, f"has {plain} bytes; at most {self._dialect.limit} are taken"
        if declared not in {plain, len(segment)}:
            return Fault.LENGTH, f"declares {declared} bytes and has {len(segment)}, {plain} of them when plain"
        return (None, None) if is_crc(given) else (Fault.CRC, "the check sum is not four hexadecimal digits")

    def _sum(self, segment: bytes) -> str:
        self._crc_bytes += len(segment)
        return self._dialect.checksum(segment)


def longest_travel(limit: int) -> int:
    """Bytes that an encrypted segment of at most ``limit`` plain ones has, with its check sum."""
    return 5 * limit + _HEADER


def cipher_bytes(match: re.Match[bytes]) -> bytes:
    """The bytes that a match of ``CIPHER`` writes."""
    return bytes.fromhex(match[1][1:-1].decode().replace("0x", "").replace(",", ""))


def no_frame(text: str) -> Frame:
    """What stands for bytes that hold no frame."""
    return Frame(b"", b"", None, None, None, Fault.SYNTAX, text)


def read_line(line: bytes, dialect: Dialect = STANDARD) -> Frame:
    """The one frame of a line.

    Parameters
    ----------
    line : bytes
        One frame, with or without its line end.
    dialect : Dialect
        How the device speaks.

    Returns
    -------
    Frame
        If the line holds none or more than the frame, one with a fault.
    """
    framer = Framer(dialect)
    frames = framer.feed(line.rstrip(_LINE_END) + _LINE_END) + framer.close()
    if not frames:
        return no_frame("the line is empty")
    first, *more = frames
    if more and first.fault is None:
        text = "more bytes follow on the line; one line is one frame"
        return replace(first, fault=Fault.LENGTH, text=text)
    return first
