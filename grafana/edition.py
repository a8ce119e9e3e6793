"""What dashboards and alert rules are made for: a registry, in one language, with the limits of one day."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

from greenmine.clauses import in_language
from greenmine.limits import Limit, Threshold, threshold_on
from greenmine.parameters import Parameter
from greenmine.registry import Rule
from greenmine.themes import Theme
from greenmine.wording.unit_signs import sign
from greenmine.wording.words import NOTHING, Words

_UNITS: Final = {
    "ug/m3": "conμgm3",
    "m/s": "velocityms",
    "deg": "degree",
    "degC": "celsius",
    "%": "percent",
    "kPa": "pressurekpa",
    "mm": "lengthmm",
    "1": "none",
}
"""Unit of Grafana by canonical unit, where Grafana has it."""

_SIDE_BY_SIDE: Final = 3
"""Names of one station id that are shown together."""
_RENAMED_AT_MOST: Final = 60
"""Series are renamed by one transformation a name; with more names than this they keep their ids."""


@dataclass(frozen=True)
class Edition(Words):
    """Language, registry and day, with the words, names and limits that follow from them.

    Parameters
    ----------
    language : {"zh", "en"}
        Language of every text.
    registry : Registry
        Whose sites, stations and limits are shown.
    day : date
        Descriptions name the thresholds in force on this day; lines in panels follow each day's own.
    """

    package = "greenmine.grafana"

    day: date

    pages: str = ""
    """Address of the web pages, where every exceedance has one of its own; empty: nothing links there."""

    def of(self, enterprise: str) -> Edition:
        """The same for one enterprise: nothing of the others remains, not even a name."""
        sites = tuple(site for site in self.registry.sites if site.enterprise == enterprise)
        known = {site.id for site in sites}
        return replace(
            self,
            registry=replace(
                self.registry,
                enterprises=tuple(e for e in self.registry.enterprises if e.id == enterprise),
                sites=sites,
                channels=tuple(c for c in self.registry.channels if c.site in known),
                rules=tuple(r for r in self.registry.rules if r.site in known),
            ),
        )

    @cached_property
    def zone(self) -> str:
        """Zone of the sites if they share one, else that of whoever looks."""
        zones = {site.zone for site in self.registry.sites}
        return zones.pop() if len(zones) == 1 else "browser"

    @cached_property
    def offset(self) -> timedelta:
        """How far the clock of the first site is ahead of UTC on the day."""
        zone = ZoneInfo(self.registry.sites[0].zone) if self.registry.sites else UTC
        ahead = datetime(self.day.year, self.day.month, self.day.day, 12, tzinfo=zone).utcoffset()
        assert ahead is not None
        return ahead

    def wide(self, zh: int, en: int) -> int:
        """Width of a column [px], which the words of each language need.

        Grafana makes rows as tall as citations need: what names in English take more for three lines, `tables.clause` gives.
        """
        return zh if self.language == "zh" else en

    def span(self, unit: str) -> str:
        """Grafana's name of a unit of time, ``s``, ``min`` or ``h``, as words of the language; Grafana's own are English."""
        return f"suffix:{self.t(f'span.{unit}')}"

    @property
    def days(self) -> str:
        """InfluxQL's grouping into local days.

        The offset is spelled out: ``tz()`` needs a zone database beside the server, which containers may lack.
        """
        minutes = int(-self.offset.total_seconds() // 60) % 1440
        return f"time(1d, {minutes}m)" if minutes else "time(1d)"

    def gap(self, *parameters: str) -> int:
        """How long a curve of readings of these parameters goes on without one: three intervals of the slowest channel [ms]."""
        return 3 * max((c.interval for c in self.registry.channels if c.parameter.id in parameters), default=0)

    def limits(self, wanted: Callable[[Limit], bool]) -> list[Rule]:
        """One rule for each limit, target or warning that holds somewhere, in the order of the registry."""
        found: dict[str, Rule] = {}
        for rule in self.registry.rules:
            if wanted(rule.limit):
                found.setdefault(tag_of(rule), rule)
        return list(found.values())

    def limits_of(self, theme: str) -> list[Rule]:
        """Those of a theme's parameters."""
        return self.limits(lambda limit: self.registry.parameters[limit.parameter].theme == theme)

    def limit_name(self, rule: Rule) -> str:
        """Name of a limit; that of a target or a warning says so and tells its number, as mines set their own."""
        name = self.name(rule.limit)
        if rule.limit.kind == "legal":
            return name
        return self.t(f"kind.of-{rule.limit.kind}", name=name, number=tag_of(rule).rpartition("-")[2])

    def clauses(self, rules: Iterable[Rule]) -> str:
        """A line for each legal limit with its threshold and clause, for descriptions."""
        lines = []
        for rule in rules:
            threshold = threshold_on(rule.limit, self.day)
            if threshold is not None and rule.limit.kind == "legal":
                bound = f"{bounds(threshold)} {sign(rule.limit.unit)}"
                lines.append(
                    self.t("limits.line", name=self.name(rule.limit), bound=bound, clause=self.clause(threshold))
                )
        return "\n".join(lines)

    def clause(self, threshold: Threshold) -> str:
        """Standard and clause of a threshold, or who set it."""
        return in_language(threshold.citation, self.language)

    def stations(self, *roles: str) -> list[str]:
        """Ids of the stations with one of these roles."""
        return sorted({s.id for site in self.registry.sites for s in site.stations if s.role in roles})

    def renames(self, limits: Iterable[Rule] = ()) -> list[dict[str, Any]]:
        """Transformations that put names in the place of the ids of sites, stations and limits in names of series."""
        names = {**self.site_names, **self.station_names, **{tag_of(r): self.limit_name(r) for r in limits}}
        if len(names) > _RENAMED_AT_MOST:
            return []
        return [
            {
                "id": "renameByRegex",
                "options": {
                    "regex": f"/(^| ){re.escape(old).replace('/', chr(92) + '/')}(?= |$)/",
                    "renamePattern": f"$1{new}",
                },
            }
            for old, new in names.items()
            if old != new
        ]

    @cached_property
    def site_names(self) -> dict[str, str]:
        """Short name of each site by its id, the name where it has no short one."""
        return {site.id: self.short_name(site) for site in self.registry.sites}

    @cached_property
    def names_at(self) -> dict[str, dict[str, str]]:
        """Names of the stations of an id, by their sites."""
        names: dict[str, dict[str, str]] = {}
        for site in self.registry.sites:
            for station in site.stations:
                names.setdefault(station.id, {})[site.id] = self.name(station)
        return names

    @cached_property
    def station_names(self) -> dict[str, str]:
        """Name of each station by its id; where mines call it differently their names side by side, unless they are many."""
        names = {id_: dict.fromkeys(of_sites.values()) for id_, of_sites in self.names_at.items()}
        return {id_: self.t("alternatives").join(n) for id_, n in names.items() if len(n) <= _SIDE_BY_SIDE}

    @cached_property
    def parameter_names(self) -> dict[str, str]:
        """Symbol or name of each parameter with its unit, by its id."""
        return {
            p.id: " ".join(filter(None, (self.name(p), f"({sign(p.unit)})" if sign(p.unit) else "")))
            for p in self.registry.parameters.values()
        }

    def label(self, parameter: Parameter) -> str:
        """Short name of a parameter with its unit: the symbol, where it says more than a letter or two and the name is long.

        Without a unit it is the name: the symbol of a state is an English word.
        """
        name, long = self.name(parameter), 4 if self.language == "zh" else 13
        unit = sign(parameter.unit)
        short = parameter.symbol if unit and len(parameter.symbol) > 1 and len(name) >= long else name
        return f"{short} {unit}".rstrip()

    @cached_property
    def limit_names(self) -> dict[str, str]:
        """Name of each limit by the value of its tag."""
        return {tag_of(rule): self.limit_name(rule) for rule in self.limits(lambda _: True)}

    @cached_property
    def clause_names(self) -> dict[str, str]:
        """Standard with clause of each threshold in the language, by how the projection has it."""
        return {
            threshold.citation: self.clause(threshold)
            for rule in self.registry.rules
            for threshold in rule.limit.thresholds
            if threshold.citation
        }

    def themes(self) -> list[Theme]:
        """Return the judged themes of which anything is measured, in order."""
        measured = {channel.parameter.theme for channel in self.registry.channels}
        return [theme for theme in self.registry.judged_themes if theme.id in measured]


def tag_of(rule: Rule) -> str:
    """Value of the tag ``limit``: id of the limit, with ``#target-N`` behind it for a station's own."""
    return rule.key.split("/", 2)[2]


def bounds(threshold: Threshold) -> str:
    """What a threshold allows."""
    if threshold.low is None and threshold.high is None:
        return NOTHING
    if threshold.low is None:
        return f"≤ {threshold.high:g}"
    return f"≥ {threshold.low:g}" if threshold.high is None else f"{threshold.low:g}–{threshold.high:g}"


def unit_of(unit: str) -> str:
    """Return Grafana's name of a canonical unit; its sign behind the number where Grafana has none.

    Examples
    --------
    >>> unit_of("kPa"), unit_of("uS/cm")
    ('pressurekpa', 'suffix:μS/cm')
    """
    return _UNITS.get(unit, f"suffix:{sign(unit)}")
