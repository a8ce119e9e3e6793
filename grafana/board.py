"""A dashboard: panels laid out in rows of 24 columns, variables, annotations, links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from greenmine.grafana.edition import Edition, tag_of
from greenmine.grafana.queries import LEGAL, RANGE, SITES, SOURCE, STATIONS, THE_STATION, one_of
from greenmine.registry import Rule
from greenmine.wording.messages import LANGUAGES

Json = dict[str, Any]

SCHEMA: Final = 37
"""Version of the classic schema in Grafana 9.3; later ones migrate it when they load it."""
TAG: Final = "greenmine"
_WIDTH: Final = 24


def uid(name: str, language: str) -> str:
    """Uid of a dashboard; the prefix marks it as ours."""
    return f"greenmine-{name}-{language}"


def path_to(edition: Edition, name: str, **variables: str) -> str:
    """Link to another dashboard of the same language with time range, data source and variables."""
    given = "".join(f"&var-{key}={value}" for key, value in variables.items())
    return f"/d/{uid(name, edition.language)}?${{__url_time_range}}&${{datasource:queryparam}}{given}"


class Board:
    """A dashboard in the making.

    Parameters
    ----------
    edition : Edition
        For whom it is made.
    name : str
        Its name in the catalogue of messages and in its uid.
    variables : list
        From `greenmine.grafana.variables`.
    span : str
        Time range, such as ``now-7d``.
    refresh : str
        How often it looks for news.
    title, texts : str, optional
        Title, and name of its texts in the catalogue of messages; unless given, those of ``name``.
    """

    def __init__(
        self,
        edition: Edition,
        name: str,
        variables: list[Json],
        *,
        span: str,
        refresh: str,
        title: str = "",
        texts: str = "",
    ) -> None:
        self.edition = edition
        self.name = name
        self._title = title or edition.t(f"{name}.title")
        self._about = edition.t(f"{texts or name}.about")
        self._variables = variables
        self._span = span
        self._refresh = refresh
        self._panels: list[Json] = []
        self._annotations: list[Json] = []
        self._shaded: dict[tuple[tuple[str, ...], bool], list[int]] = {}
        """Ids of the panels that exceedances of limits shade, by the limits' tags, and by whether a station has a panel each."""
        self._repeated = False
        self._x = self._y = self._height = 0

    def add(self, panel: Json, width: int, height: int, *, judged: Sequence[Rule] = ()) -> None:
        """Put a panel behind the one before it, or into the next row where it does not fit.

        Exceedances of the limits of ``judged`` shade it, once `episodes` are called for.
        """
        if self._x + width > _WIDTH:
            self._next_row()
        place = {"x": self._x, "y": self._y, "w": width, "h": height}
        self._panels.append({"id": len(self._panels) + 1, "gridPos": place, **panel})
        if tags := tuple(tag_of(rule) for rule in judged if rule.limit.kind == "legal"):
            self._shaded.setdefault((tags, self._repeated), []).append(len(self._panels))
        self._x += width
        self._height = max(self._height, height)

    def section(self, title: str, *, repeat: str = "") -> None:
        """Begin a row that can be folded; with ``repeat`` it comes once for each value of this variable, and its title names it."""
        if self._x:
            self._next_row()
        self._repeated = bool(repeat)
        row: Json = {"type": "row", "title": title, "collapsed": False, "panels": []}
        self.add({**row, **({"repeat": repeat} if repeat else {})}, _WIDTH, 1)

    def _annotate(self, name: str, query: str, color: str, *, text: str, end: str, panels: Sequence[int] = ()) -> None:
        """Mark what a query tells over all panels with a time axis, or over some without a switch above the panels.

        ``text`` and ``end`` name columns of the answer, ``end`` with its measurement.
        """
        columns = {"textColumn": text, "tagsColumn": "", "timeEndColumn": end, "titleColumn": ""}
        target = {
            "query": query,
            "refId": "Anno",
            "queryType": "tags",
            "fromAnnotations": True,
            "name": name,
            **columns,
        }
        self._annotations.append(
            {
                "name": name,
                "datasource": SOURCE,
                "enable": True,
                "hide": bool(panels),
                "iconColor": color,
                "query": query,
                **columns,
                "target": target,
                **({"filter": {"exclude": False, "ids": list(panels)}} if panels else {}),
            }
        )

    def blasting(self) -> None:
        """Mark blasts."""
        query = f'SELECT "reason", "end", "site" FROM "mark" WHERE {RANGE} AND "kind" = \'blasting\' AND {SITES}'
        self._annotate(self.edition.t("annotation.blasting"), query, "purple", text="reason", end="mark.end")

    def episodes(self) -> None:
        """Shade the exceedances of legal limits on the panels where they are judged, from start to end.

        Red, but amber where the method is indicative. Grafana shades a repeated panel at every station alike, so there it is done
        while one station is chosen: the others' exceedances are none of this one's.
        """
        text = f"text_{self.edition.language}"
        for number, ((tags, repeated), panels) in enumerate(self._shaded.items(), 1):
            stations = f"{SITES} AND {THE_STATION}" if repeated else STATIONS
            for key, finding, color in (("exceedance", 4, "red"), ("indicative", 3, "orange")):
                where = f'{LEGAL} AND {one_of("limit", tags)} AND "finding" = {finding} AND {stations}'
                # Grafana names a column of an annotation by its measurement too.
                shown: dict[str, Any] = {"text": text, "end": "exceedance.until", "panels": panels}
                ended = (
                    f'SELECT "end" AS "until", "{text}" FROM "exceedance" WHERE {RANGE} AND {where}'
                    " AND \"state\" = 'closed'"
                )
                name = f"{self.edition.t(f'annotation.{key}')} {number}"
                self._annotate(name, ended, color, **shown)
                lasting = (
                    f'SELECT "start" * 0 + ${{__to}} AS "until", "{text}" FROM "exceedance" WHERE {RANGE} AND {where}'
                    ' AND "open" = 1'
                )
                name = f"{self.edition.t(f'annotation.{key}-lasting')} {number}"
                self._annotate(name, lasting, color, **shown)

    def made(self) -> Json:
        """The dashboard."""
        edition = self.edition
        others = [language for language in LANGUAGES if language != edition.language]
        keep = {"type": "link", "includeVars": True, "keepTime": True, "targetBlank": False, "tooltip": "", "tags": []}
        links = [
            {
                **keep,
                "type": "dashboards",
                "title": edition.t("links.boards"),
                "asDropdown": True,
                "tags": [f"{TAG}-{edition.language}"],
                "icon": "external link",
                "url": "",
            },
            *(
                {**keep, "title": edition.t(f"links.{other}"), "icon": "doc", "url": f"/d/{uid(self.name, other)}"}
                for other in others
            ),
        ]
        return {
            "uid": uid(self.name, edition.language),
            "title": self._title,
            "description": self._about,
            "tags": [TAG, f"{TAG}-{edition.language}"],
            "schemaVersion": SCHEMA,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": edition.zone,
            "time": {"from": self._span, "to": "now"},
            "timepicker": {"refresh_intervals": ["10s", "30s", "1m", "5m", "15m", "1h"]},
            "refresh": self._refresh,
            "weekStart": "monday",
            "fiscalYearStartMonth": 0,
            "liveNow": False,
            "style": "dark",
            "annotations": {"list": [_ALERTS, *self._annotations]},
            "templating": {"list": self._variables},
            "links": links,
            "panels": self._panels,
        }

    def _next_row(self) -> None:
        self._y += self._height
        self._x = self._height = 0


_ALERTS: Final = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "target": {"limit": 100, "matchAny": False, "tags": [], "type": "dashboard"},
    "type": "dashboard",
}
