"""What is wrong with a frame, and what was tolerated in it: two closed lists, explained in ``docs/hj212.md``."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Why a frame is not to be trusted; the first of these that applies."""

    LENGTH = "length"
    TRUNCATED = "truncated"
    CRC = "crc"
    KEY = "key"
    SYNTAX = "syntax"


class Deviation(StrEnum):
    """A departure from the standard that does not keep a frame from being read."""

    LEADING_JUNK = "leading-junk"
    MISSING_LINE_FEED = "missing-line-feed"
    MISSING_CARRIAGE_RETURN = "missing-carriage-return"
    LOWER_CASE_CRC = "lower-case-crc"
    LONG_SEGMENT = "long-segment"
    PLAIN_LENGTH = "plain-length"
    NOT_ENCRYPTED = "not-encrypted"

    GB18030 = "gb18030"
    NOT_UTF8 = "not-utf8"
    BLANK = "blank"
    EMPTY_ITEM = "empty-item"
    NO_EQUALS = "no-equals"
    MISSING_SEPARATOR = "missing-separator"
    NO_CP = "no-cp"
    CP_NOT_OPENED = "cp-not-opened"
    CP_NOT_CLOSED = "cp-not-closed"
    TEXT_AFTER_CP = "text-after-cp"

    NAME_CASE = "name-case"
    HEADER_ORDER = "header-order"
    REPEATED_NAME = "repeated-name"
    UNKNOWN_HEADER = "unknown-header"
    BAD_QN = "bad-qn"
    BAD_ST = "bad-st"
    BAD_CN = "bad-cn"
    NO_MN = "no-mn"
    BAD_FLAG = "bad-flag"
    FLAG_IN_CP = "flag-in-cp"
    UNKNOWN_VERSION = "unknown-version"
    BAD_PACKET_NUMBER = "bad-packet-number"
    SPLIT_WITHOUT_NUMBERS = "split-without-numbers"
    NUMBERS_WITHOUT_SPLIT = "numbers-without-split"

    BAD_TIME = "bad-time"
    TIME_DIGITS = "time-digits"
    SEVERAL_TIMES = "several-times"
    MIXED_GROUP = "mixed-group"
    SPLIT_GROUP = "split-group"
    REPEATED_VALUE = "repeated-value"
    UNKNOWN_KIND = "unknown-kind"
    UNKNOWN_NAME = "unknown-name"
    ODD_CODE = "odd-code"
    UNKNOWN_DATA_FLAG = "unknown-data-flag"
    NUMBER_FORM = "number-form"
