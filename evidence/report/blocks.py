"""What a report is made of; the template knows how each kind looks."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Block(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=str.lower):
    """A part of the report."""


class Title(Block, frozen=True, kw_only=True):
    """The head of the first page."""

    title: str
    subtitle: str


class Heading(Block, frozen=True, kw_only=True):
    """A heading; it stays with what follows."""

    text: str
    level: Literal[1, 2] = 1


class Paragraph(Block, frozen=True, kw_only=True):
    """Running text."""

    text: str
    small: bool = False
    """Whether it is a remark."""


class Bullets(Block, frozen=True, kw_only=True):
    """A list."""

    items: list[str]


class Facts(Block, frozen=True, kw_only=True):
    """Names and what stands under them."""

    rows: list[tuple[str, str]]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said of a theme."""

    theme: str
    verdict: Literal["meets", "exceeds", "not assessable"]
    standing: Literal["statutory", "indicative"]
    sign: str
    word: str
    lines: list[str]
    """What it rests on, and why it could not be assessed."""


class Findings(Block, frozen=True, kw_only=True):
    """The verdicts of the first page."""

    rows: list[Finding]


class Column(msgspec.Struct, frozen=True):
    """Head of a column."""

    text: str
    align: Literal["left", "right", "center"] = "left"
    share: int = 0
    """Part of the width that the other columns leave over; 0: as wide as its content."""


class Table(Block, frozen=True, kw_only=True):
    """A table; its head is repeated on each page."""

    caption: str
    columns: list[Column]
    rows: list[list[str]]
    small: bool = False
    """Whether it has many columns."""


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A drawing."""

    caption: str
    spec: dict[str, Any]
    """Vega-Lite; before it is set, the drawing takes its place."""
    svg: str = ""


class Charts(Block, frozen=True, kw_only=True):
    """Drawings, one or more in a row."""

    charts: list[Chart]
    columns: int = 1


class Break(Block, frozen=True, kw_only=True):
    """What follows begins on a new page."""
