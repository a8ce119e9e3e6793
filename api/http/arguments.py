"""Query parameters of the routes; anything unknown is an error."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from greenmine.api.http.formats import Format
from greenmine.api.http.problems import DAY_FORM, WALL_FORM, Problem
from greenmine.times import parse_time

Instant = Annotated[int, BeforeValidator(parse_time, json_schema_input_type=str)]
"""ISO 8601 time with offset, read as milliseconds UTC."""

MAX_PAGE = 10_000

_NUMBER = re.compile(r"(\d{1,18})")


def cursor_parts(pattern: re.Pattern[str], cursor: str | None) -> re.Match[str] | None:
    """Parts of a cursor; None where there is none.

    Raises
    ------
    Problem
        400, if it is not a cursor of that form.
    """
    if cursor is None:
        return None
    match = pattern.fullmatch(cursor)
    if match is None:
        raise Problem(400, f"cursor: {cursor!r} is not the 'next' of an answer of this route")
    return match


def number_of(cursor: str | None) -> int | None:
    """Number that a cursor is; None where there is none."""
    match = cursor_parts(_NUMBER, cursor)
    return int(match[1]) if match else None


_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
"""Those of ASCII and Latin 1, and those of Unicode that nobody sees or that turn the order of what is read."""


def without_control(text: str) -> str:
    """Give back a text that holds no control characters besides tabs and line ends.

    Raises
    ------
    ValueError
        It holds one.
    """
    if (found := _CONTROL.search(text)) is not None:
        raise ValueError(f"holds the control character U+{ord(found[0]):04X}; only text is taken")
    return text


class NoArguments(BaseModel):
    """A route without parameters."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return without_control(value) if isinstance(value, str) else value


class PageArguments(NoArguments):
    """A page in Chinese or English."""

    lang: Literal["zh", "en"] | None = None


class SelectionArguments(PageArguments):
    """Which mines a page of many shows."""

    q: str = Field(default="", max_length=80)
    group: Literal["township", "mineral", "zone", "state"] | None = None
    page: int = Field(default=1, ge=1, le=10_000)


class ChartArguments(PageArguments):
    """Length of a chart."""

    days: int = Field(1, ge=1, le=31)


class SiteArguments(NoArguments):
    """One site; without it, all that the caller may see."""

    site: str | None = None


class LatestArguments(SiteArguments):
    """States of channels in pages: ``next`` of an answer is the ``cursor`` of the next request."""

    size: int = Field(500, ge=1, le=MAX_PAGE)
    cursor: str | None = None


class OneSiteArguments(NoArguments):
    """One site."""

    site: str


class Listing(NoArguments):
    """A list in pages: ``next`` of an answer is the ``cursor`` of the next request."""

    size: int = Field(1_000, ge=1, le=MAX_PAGE)
    cursor: str | None = None


class Tabular(Listing):
    """A list as pages of JSON, or whole in another format."""

    format: Format | None = None
    """Comes before an ``Accept`` header."""
    bom: bool = False
    """Whether a CSV begins with the byte order mark by which Excel knows UTF-8."""
    lang: Literal["zh", "en"] | None = None
    """Heads and names of a worksheet in words of this language, for people; without it, and in all other formats, ids."""


class Period(Tabular):
    """Instants from ``from`` (inclusive) to ``to`` (exclusive)."""

    start: Instant | None = Field(None, alias="from")
    end: Instant | None = Field(None, alias="to")


class ReadingsArguments(Period):
    """Readings of a channel, in files also of a site or station; without ``from``, the 24 hours before ``to``."""

    channel: str | None = None
    site: str | None = None
    station: str | None = None


class StatisticsArguments(Period):
    """Figures of a channel, or of a parameter at all stations of a site, over legal windows; of a channel over any window."""

    channel: str | None = None
    site: str | None = None
    parameter: str | None = None
    window: str = "hour"
    every: str | None = None
    revisions: Literal["latest", "all"] = "latest"


class VerdictsArguments(Period):
    """Verdicts of a site on a limit."""

    site: str | None = None
    limit_id: str | None = Field(None, alias="limit")
    rule: str | None = None
    revisions: Literal["latest", "all"] = "latest"


class ExceedancesArguments(Period):
    """Exceedances of a site in a state."""

    site: str | None = None
    state: Literal["open", "closed", "withdrawn"] | None = None


class LedgerArguments(Tabular):
    """Ledger of a site; ``from`` and ``to`` are days, both inclusive."""

    site: str | None = None
    start: str | None = Field(None, alias="from", pattern=DAY_FORM)
    end: str | None = Field(None, alias="to", pattern=DAY_FORM)


class RejectionsArguments(Tabular):
    """Rejections of a site."""

    site: str | None = None


class EventsArguments(NoArguments):
    """A live stream, of one site or of all."""

    site: str | None = None


class Filled(NoArguments):
    """A form; the field is its synchroniser token."""

    csrf: str = ""


class AuditArguments(Listing):
    """Lines of the audit log, of a site and of a kind."""

    site: str | None = None
    action: str | None = Field(None, max_length=40)


class RollingArguments(OneSiteArguments):
    """Rolling exceedance statistics of a site; with ``from`` and ``to``, over that period too."""

    start: Instant | None = Field(None, alias="from")
    end: Instant | None = Field(None, alias="to")


class ExplanationArguments(NoArguments):
    """A verdict: its rule, the beginning of its period, and its revision; without that, the latest."""

    rule: str
    start: Instant
    revision: int | None = Field(None, ge=0, le=1_000_000)


class ExplanationPageArguments(ExplanationArguments):
    """A verdict, on a page in Chinese or English."""

    lang: Literal["zh", "en"] | None = None


class ExplanationChartArguments(ExplanationPageArguments):
    """A verdict as a chart; its length is that of its window, whatever ``days`` says."""

    days: int | None = None


class ReportArguments(NoArguments):
    """A report that is filed: of a mine, or without one of the district."""

    site: str | None = None
    period: str = Field(max_length=40)
    format: Literal["xlsx", "pdf", "docx"] = "xlsx"
    lang: Literal["zh", "en"] = "zh"


class ReportPageArguments(PageArguments):
    """The page of reports, with a mine chosen."""

    site: str | None = None


class SiteListing(Tabular):
    """A list of one site, or of all that the caller may see."""

    site: str | None = None


class SitePeriod(Period):
    """A period at one site, or at all that the caller may see."""

    site: str | None = None


class SidePeriod(Period):
    """Readings kept aside, of one channel or of a site."""

    site: str | None = None
    channel: str | None = None


class MarksArguments(Period):
    """Marks of a site, or of one station there, that share an instant with the period."""

    site: str | None = None
    station: str | None = None


class CurveArguments(NoArguments):
    """A channel's course over a period; without ``from``, the 24 hours before ``to``."""

    channel: str
    start: Instant | None = Field(None, alias="from")
    end: Instant | None = Field(None, alias="to")
    points: int = Field(2_000, ge=100, le=10_000)


class AttachmentArguments(NoArguments):
    """Name of a file to be attached."""

    name: str = Field(min_length=1, max_length=200)


class UploadArguments(NoArguments):
    """Which station a logger's file is of, and how to read it, as ``greenmine analyse`` is told.

    ``units`` and ``columns`` as ``pm10=mg/m3``, ``where`` as ``COLUMN=TEXT``, ``marks`` as ``*=D``; several with commas between.
    """

    site: str = Field(max_length=80)
    station: str = Field(max_length=80)
    name: str = Field(min_length=1, max_length=200)
    units: str = Field(default="", max_length=400)
    columns: str = Field(default="", max_length=1_000)
    zone: str = Field(default="", max_length=60)
    stamps: Literal["begin", "end"] | None = None
    epoch: Literal["1900", "1904", "1970"] | None = None
    time: str = Field(default="", max_length=200)
    time_format: str = Field(default="", max_length=60)
    missing: str = Field(default="", max_length=200)
    sheet: str = Field(default="", max_length=80)
    where: str = Field(default="", max_length=400)
    marks: str = Field(default="", max_length=200)
    tolerate: float | None = Field(default=None, ge=0, le=1)
    total: Literal["yes", "no"] | None = None
    detection_limit: float | None = Field(default=None, ge=0)
    decimal: Literal["point", "comma"] | None = None
    delimiter: str = Field(default="", max_length=10)
    encoding: str = Field(default="", max_length=40)


class StationArguments(PageArguments):
    """The last days, or the days ``from`` to ``to`` (both inclusive) on the site's clock, or the day of an instant."""

    days: int = Field(1, ge=1, le=366)
    first: str | None = Field(None, alias="from", pattern=DAY_FORM)
    last: str | None = Field(None, alias="to", pattern=DAY_FORM)
    at: int | None = Field(None, ge=0, le=253_370_764_800_000)
    """Milliseconds since 1970 UTC, as dashboards know an instant; before the year 9999."""


class WallArguments(PageArguments):
    """A period on the site's clock; without it, the 24 hours to now."""

    start: str | None = Field(None, alias="from", pattern=WALL_FORM)
    end: str | None = Field(None, alias="to", pattern=WALL_FORM)
    limit: str | None = None
    """Of charts: the id of the only limit that is drawn."""


class ExceedancePageArguments(PageArguments):
    """Which exceedances a page lists."""

    state: Literal["open", "closed", "withdrawn", ""] = ""
    """Empty: any."""
    todo: bool = False
    """Only those that nobody has acknowledged yet."""
    cursor: str | None = None


class QualityArguments(PageArguments):
    """Days that the page of data quality covers."""

    days: int = Field(7, ge=1, le=92)


class DownloadArguments(NoArguments):
    """What is to be downloaded; ``from`` and ``to`` are days, both inclusive."""

    what: Literal["readings", "statistics", "verdicts", "exceedances", "ledger", "marks"]
    format: Format
    station: str = ""
    channel: str = ""
    parameter: str = ""
    window: Literal["hour", "day", "daytime", "nighttime"] = "hour"
    first: str = Field(alias="from", pattern=DAY_FORM)
    last: str = Field(alias="to", pattern=DAY_FORM)
    bom: bool = False


class BundlesArguments(Listing):
    """Evidence bundles of a site, or of all that the caller may see."""

    site: str | None = None


class AssessmentArguments(NoArguments):
    """Requirement items of a site, in a reporting period; without one, in that under way."""

    site: str
    period: str | None = Field(None, max_length=40)


class ProofArguments(AssessmentArguments):
    """A file for a requirement item."""

    item: str = Field(max_length=80)
    name: str = Field(min_length=1, max_length=200)


class AssessmentPageArguments(PageArguments):
    """The reporting period that a page is about; without it, that under way."""

    period: str | None = Field(None, max_length=40)
