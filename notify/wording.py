"""Notices in words, Chinese or English: value, limit, clause, since when, and where to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from greenmine.notify.event import Event
from greenmine.notify.messages import catalogue
from greenmine.notify.subscriptions import Language
from greenmine.registry import Registry

_UNITS: Final = {"ug/m3": "µg/m³", "uS/cm": "µS/cm", "degC": "°C", "1": "", "deg": "°"}
_NOTHING: Final = "—"


@dataclass(frozen=True, slots=True)
class Wording:
    """Words of one language.

    Parameters
    ----------
    language : Language
        Of the receiver.
    registry : Registry
        Gives the names; what has left it is called by its id.
    address : str
        Of the web server, such as ``https://mines.example.org``; empty: links begin with a slash.
    """

    language: Language
    registry: Registry
    address: str

    def line(self, event: Event) -> str:
        """An event in one line, without the link."""
        name = next((self._name(site) for site in self.registry.sites if site.id == event.site), event.site)
        return self._say("text", "line", kind=self._say("kind", event.kind), site=name, text=self._text(event))

    def text(self, events: Sequence[Event], longest: int | None = None) -> str:
        """Events with their links, a paragraph each.

        Parameters
        ----------
        events : sequence of Event
            At least one.
        longest : int, optional
            Longest text [bytes of UTF-8]: what does not fit is counted.
        """
        paragraphs = [] if len(events) == 1 else [self._say("text", "digest", n=len(events))]
        for place, event in enumerate(events):
            link = self.link(event.data["href"]) if "href" in event.data else ""
            paragraph = "\n".join(part for part in (self.line(event), link) if part)
            rest = self._say("text", "more", n=len(events) - place, link=self.link("/exceedances"))
            following = (
                "" if place == len(events) - 1 else self._say("text", "more", n=99, link=self.link("/exceedances"))
            )
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
        name = next((self._name(site) for site in self.registry.sites if site.id == first.site), first.site)
        key = "one" if len(events) == 1 else "many"
        return self._say("subject", key, n=len(events), kind=self._say("kind", first.kind), site=name)

    def link(self, path: str) -> str:
        """Address of a page."""
        return f"{self.address}{path}"

    def _text(self, event: Event) -> str:
        word = event.kind.rpartition("-")[2]
        data = event.data
        match word:
            case "opened" | "closed" | "restated":
                form = "withdrawn" if data["state"] == "withdrawn" else word
                return self._say("text", form, **self._episode(event))
            case "silent" | "back":
                key = "silent-whole" if word == "silent" and data["whole_station"] else word
                named = [
                    self._say("text", "channel-since", parameter=self._symbol(c["parameter"]), time=_clock(c["since"]))
                    for c in data["channels"]
                ]
                return self._say("text", key, station=self._station(event), parameters=self._list(named))
            case "low":
                shares = [
                    self._say(
                        "text", "channel-share", parameter=self._symbol(c["parameter"]), share=_percent(c["capture"])
                    )
                    for c in data["channels"]
                ]
                return self._say(
                    "text",
                    "capture",
                    station=self._station(event),
                    day=data["day"],
                    shares=self._list(shares),
                    required=_percent(data["required"]),
                )
            case _:
                return self._say("text", "test")

    def _episode(self, event: Event) -> dict[str, Any]:
        data = event.data
        limit = self.registry.limits.get(data["limit"])
        return {
            "station": self._station(event), "limit": data["limit"] if limit is None else self._name(limit),
            "peak": _figure(data["peak"]), "threshold": _figure(data["threshold"]), "unit": _UNITS.get(data["unit"], data["unit"]),
            "basis": " ".join(part for part in (data["standard"], data["clause"]) if part), "start": _clock(data["start"]),
            "end": _clock(data["end"]) if data["end"] else self._say("text", "lasting"), "minutes": data["minutes_above"],
            "revision": data["revision"],
        }  # fmt: skip

    def _station(self, event: Event) -> str:
        station = event.data["station"]
        try:
            return self._name(self.registry.station(event.site, station))
        except KeyError:
            return str(station)

    def _symbol(self, parameter: str) -> str:
        found = self.registry.parameters.get(parameter)
        return parameter if found is None else found.symbol

    def _list(self, parts: Sequence[str]) -> str:
        return self._say("text", "separator").join(parts)

    def _name(self, thing: Any) -> str:
        return str(thing.name_zh if self.language == "zh" else thing.name_en)

    def _say(self, section: str, key: str, **values: object) -> str:
        return catalogue(self.language)[section][key].format(**values)


def iso(time: int) -> str:
    """Instant [ms UTC] as RFC 3339 has it."""
    return datetime.fromtimestamp(time / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clock(time: str) -> str:
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M}"


def _figure(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def _percent(share: float) -> str:
    """A share that is too low is never rounded up to one that is not."""
    return f"{int(share * 1000) / 10:g} %"
