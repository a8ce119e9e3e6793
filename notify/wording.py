"""Notices in words, Chinese or English: value, limit, clause, since when, and where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from greenmine.entries import ALL_SITES
from greenmine.limits import Limit
from greenmine.notify.event import Event
from greenmine.wording.words import Words

_PARTS = 8
"""Parts of the registry that are named."""


@dataclass(frozen=True)
class NoticeWords(Words):
    """Words of notices.

    Parameters
    ----------
    language : Language
        Of the receiver.
    registry : Registry
        Gives the names; what has left it is called by its id.
    address : str
        Of the web server, such as ``https://mines.example.org``; empty: links begin with a slash.
    """

    package = "greenmine.notify"

    address: str

    def line(self, event: Event) -> str:
        """An event in one line, without the link."""
        name = self._site(event)
        return self.t("text.line", kind=self.t(f"kind.{event.kind}"), site=name, text=self._text(event))

    def text(self, events: Sequence[Event], longest: int | None = None) -> str:
        """Events with their links, a paragraph each.

        Parameters
        ----------
        events : sequence of Event
            At least one.
        longest : int, optional
            Longest text [bytes of UTF-8]: what does not fit is counted.
        """
        paragraphs = [] if len(events) == 1 else [self.t("text.digest", n=len(events))]
        for place, event in enumerate(events):
            link = self.link(event.data["href"]) if "href" in event.data else ""
            paragraph = "\n".join(part for part in (self.line(event), link) if part)
            rest = self.t("text.more", n=len(events) - place, link=self.link("/exceedances"))
            following = "" if place == len(events) - 1 else self.t("text.more", n=99, link=self.link("/exceedances"))
            length = len("\n\n".join([*paragraphs, paragraph, following]).encode())
            if longest is not None and length > longest:
                paragraphs.append(
                    rest if paragraphs else paragraph.encode()[: longest - 3].decode(errors="ignore") + "…"
                )
                break
            paragraphs.append(paragraph)
        return "\n\n".join(paragraphs)

    def subject(self, events: Sequence[Event]) -> str:
        """Subject of a mail."""
        first = events[0]
        key = "one" if len(events) == 1 else "many"
        return self.t(f"subject.{key}", n=len(events), kind=self.t(f"kind.{first.kind}"), site=self._site(first))

    def link(self, path: str) -> str:
        """Address of a page."""
        return f"{self.address}{path}"

    def _text(self, event: Event) -> str:
        word = event.kind.rpartition("-")[2]
        data = event.data
        match word:
            case "opened" | "closed" | "restated":
                form = "withdrawn" if data["state"] == "withdrawn" else word
                said = self.t(f"text.{form}", **self._episode(event))
                if form == "withdrawn" or data["addressee"] == "own":
                    return said
                told = self.conclusion("exceeds", data["standing"])
                return self.t(f"text.told-{data['addressee']}", said=said, told=told)
            case "silent" | "back" | "flooding" | "calm":
                key = "silent-whole" if word == "silent" and data["whole_station"] else word
                named = [
                    self.t("text.channel-since", parameter=self._symbol(c["parameter"]), time=_clock(c["since"]))
                    for c in data["channels"]
                ]
                return self.t(f"text.{key}", station=self._station(event), parameters=self._list(named))
            case "low":
                shares = [
                    self.t("text.channel-share", parameter=self._symbol(c["parameter"]), share=_percent(c["capture"]))
                    for c in data["channels"]
                ]
                return self.t(
                    "text.capture",
                    station=self._station(event),
                    day=data["day"],
                    shares=self._list(shares),
                    required=_percent(data["required"]),
                )
            case "claimed":
                names = {**data, "start": _clock(data["start"]), "end": _clock(data["end"])}
                names |= {"station": self._station(event), "mark": self.t(f"mark.{data['mark']}")}
                return self.t("text.claim", **names)
            case "changed":
                parts = data["parts"]
                some = self._list(parts[:_PARTS]) + (self.t("text.registry-more") if len(parts) > _PARTS else "")
                author = data["author"] or self.t("text.registry-files")
                return self.t("text.registry", n=len(parts), author=author, parts=some)
            case "filling" | "eased":
                return self.t(f"text.queue-{word}", size=data["megabytes"])
            case "day" | "week" | "month" | "quarter" | "year":
                return self.t("text.report", period=data["period"])
            case _:
                return self.t("text.test")

    def _episode(self, event: Event) -> dict[str, Any]:
        data = event.data
        limit = self.registry.limits.get(data["limit"])
        return {
            "station": self._station(event), "limit": data["limit"] if limit is None else self.name(limit),
            "peak": self._peak(limit, data), "threshold": self.plain(data["threshold"]), "unit": self.unit(data["unit"]),
            "basis": " ".join(part for part in (data["standard"], data["clause"]) if part), "start": _clock(data["start"]),
            "end": _clock(data["end"]) if data["end"] else self.t("text.lasting"), "minutes": data["minutes_above"],
            "revision": data["revision"],
        }  # fmt: skip

    def _site(self, event: Event) -> str:
        """Name of the mine; what has left the registry is called by its id."""
        if event.site == ALL_SITES:
            return self.t("text.district")
        return next((self.name(site) for site in self.registry.sites if site.id == event.site), event.site)

    def _station(self, event: Event) -> str:
        station = event.data["station"]
        try:
            return self.name(self.registry.station(event.site, station))
        except KeyError:
            return str(station)

    def _symbol(self, parameter: str) -> str:
        found = self.registry.parameters.get(parameter)
        return parameter if found is None else found.symbol

    def _peak(self, limit: Limit | None, data: Mapping[str, Any]) -> str:
        if limit is None:
            return self.plain(data["peak"])
        return self.figure(data["peak"], self.registry.parameters[limit.parameter], data["threshold"])

    def _list(self, parts: Sequence[str]) -> str:
        return self.t("text.separator").join(parts)


def _clock(time: str) -> str:
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M}"


def _percent(share: float) -> str:
    """A share that is too low is never rounded up to one that is not."""
    return f"{int(share * 1000) / 10:g} %"
