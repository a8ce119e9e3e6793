"""Why a reading was rejected, and what was tolerated in a payload: closed lists, explained in ``docs/payloads.md``."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Codes of rejection, as kept in the record."""

    OVER_BUDGET = "over-budget"
    TOO_LARGE = "too-large"
    NOT_UTF8 = "not-utf8"
    NOT_JSON = "not-json"
    TOO_DEEP = "too-deep"
    WRONG_SHAPE = "wrong-shape"
    LENGTHS_DIFFER = "lengths-differ"
    EMPTY = "empty"
    UNKNOWN_TOPIC = "unknown-topic"
    UNKNOWN_DEVICE = "unknown-device"
    UNKNOWN_PARAMETER = "unknown-parameter"
    NO_TIME = "no-time"
    NO_ZONE = "no-zone"
    UNIT = "unit"
    BAD_TIME = "bad-time"
    FUTURE = "future"
    SERVER_CLOCK = "server-clock"
    ANCIENT = "ancient"
    NOT_A_NUMBER = "not-a-number"
    NOT_FINITE = "not-finite"
    MISSING_FLAG = "missing-flag"
    BAD_FLAG = "bad-flag"
    NULL_WITHOUT_FLAG = "null-without-flag"
    UNSIGNED = "unsigned"
    BAD_SIGNATURE = "bad-signature"
    WRONG_VERSION = "wrong-version"
    WRONG_SYSTEM = "wrong-system"


class PayloadDeviation(StrEnum):
    """Oddities of a payload that do not keep it from being read; they are counted."""

    TRAILING_ZERO = "trailing-zero"
    BYTE_ORDER_MARK = "byte-order-mark"
    UTF16 = "utf-16"
    JSON_IN_TEXT = "json-in-text"


class RefusedError(Exception):
    """A whole message cannot be taken.

    Parameters
    ----------
    reason : Reason
        Why.
    detail : str
        What was wrong and what would be right.
    readings : int
        How many readings the message held, at least 1.
    """

    def __init__(self, reason: Reason, detail: str, readings: int = 1) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.readings = max(readings, 1)
