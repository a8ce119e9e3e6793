"""Query parameters of the routes; anything unknown is an error."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from api.times import parse_time

Instant = Annotated[int, BeforeValidator(parse_time, json_schema_input_type=str)]
"""ISO 8601 time with offset, read as milliseconds UTC."""

MAX_PAGE = 10_000


class NoArguments(BaseModel):
    """A route without parameters."""

    model_config = ConfigDict(extra="forbid")


class PageArguments(NoArguments):
    """A page in Chinese or English."""

    lang: Literal["zh", "en"] | None = None


class ChartArguments(PageArguments):
    """Length of a chart."""

    days: int = Field(1, ge=1, le=31)


class SiteArguments(NoArguments):
    """One site; without it, all that the caller may see."""

    site: str | None = None


class OneSiteArguments(NoArguments):
    """One site."""

    site: str


class Listing(NoArguments):
    """A list in pages: ``next`` of an answer is the ``cursor`` of the next request."""

    size: int = Field(1_000, ge=1, le=MAX_PAGE)
    cursor: str | None = None


class Period(Listing):
    """Instants from ``from`` (inclusive) to ``to`` (exclusive)."""

    start: Instant | None = Field(None, alias="from")
    end: Instant | None = Field(None, alias="to")


class ReadingsArguments(Period):
    """Readings of a channel; without ``from``, the 24 hours before ``to``."""

    channel: str


class StatisticsArguments(Period):
    """Figures of a channel over legal windows, or over any window."""

    channel: str
    window: str = "hour"
    every: str | None = None
    revisions: Literal["latest", "all"] = "latest"


class VerdictsArguments(Period):
    """Verdicts of a site on a limit."""

    site: str | None = None
    limit_id: str | None = Field(None, alias="limit")


class ExceedancesArguments(Period):
    """Exceedances of a site in a state."""

    site: str | None = None
    state: Literal["open", "closed", "withdrawn"] | None = None


class LedgerArguments(Listing):
    """Ledger of a site; ``from`` and ``to`` are days, both inclusive."""

    site: str | None = None
    start: str | None = Field(None, alias="from", pattern=r"^\d{4}-\d\d-\d\d$")
    end: str | None = Field(None, alias="to", pattern=r"^\d{4}-\d\d-\d\d$")


class RejectionsArguments(Listing):
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
