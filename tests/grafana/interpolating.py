"""Fills variables and macros into queries as Grafana 9 does, and asks a real InfluxDB as its data source does.

``${name:regex}``: each value escaped, several joined as ``(a|b)``, "All" replaced by the variable's ``allValue`` as it is.
``$timeFilter``: ``time >= …ms and time <= …ms``. ``$__interval``: the range over the
points, rounded up, not below the panel's least. As Grafana 12.3 does, a macro of the interval that stands between two slashes of
one line is taken for a part of a regular expression and escaped, which no InfluxDB understands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ALL = "$__all"
_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}/]")
_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)
_POINTS = 1000


@dataclass(frozen=True)
class View:
    """What a viewer looks at: a time range [ms UTC] and chosen values, lists for what takes several."""

    start: int
    end: int
    chosen: Mapping[str, str | list[str]]
    variables: Mapping[str, Mapping[str, Any]]

    def fill(self, query: str, panel: Mapping[str, Any] | None = None) -> str:
        """The query as it goes to InfluxDB."""
        interval = self.interval(panel or {})
        text = _escaped(query).replace("$timeFilter", f"time >= {self.start}ms and time <= {self.end}ms")
        text = text.replace("$__interval_ms", str(interval * 1000)).replace("$__interval", f"{interval}s")
        text = self._with_values(text)
        assert "$" not in re.sub(r"\$/", "", text), f"not filled in: {text}"
        return text

    def chosen_in(self, query: str) -> str:
        """The query with the variables filled in, but not the macros, which are the data source's business."""
        return self._with_values(_escaped(query))

    def _with_values(self, query: str) -> str:
        return re.sub(r"\$\{(\w+)(?::(\w+))?\}", self._value, query)

    def interval(self, panel: Mapping[str, Any]) -> int:
        """Width of a point [s]."""
        least = {"1m": 60, "10m": 600, "15m": 900, "60m": 3600, "1h": 3600}.get(panel.get("interval", ""), 1)
        wanted = max(least, (self.end - self.start) / 1000 / _POINTS)
        return next(step for step in _STEPS if step >= wanted)

    def _value(self, match: re.Match[str]) -> str:
        name, form = match[1], match[2]
        if name in {"__from", "__to"}:
            return str(self.start if name == "__from" else self.end)
        variable, value = self.variables[name], self.chosen[name]
        if ALL in (value if isinstance(value, list) else [value]):
            assert variable["includeAll"], name
            assert variable["allValue"], name
            return str(variable["allValue"])
        assert form == "regex", match[0]
        values = [_SPECIAL.sub(r"\\\g<0>", v) for v in ([value] if isinstance(value, str) else value)]
        return values[0] if len(values) == 1 else f"({'|'.join(values)})"


def _escaped(query: str) -> str:
    for macro in (r"\$__interval", r"\$__interval_ms"):
        if re.search(f"/.*{macro}.*/", query):
            query = re.sub(rf"{macro}\b", r"\\\g<0>", query)
    return query


def variables_of(dashboard: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Variables by name."""
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def everything(dashboard: Mapping[str, Any], start: int, end: int, **chosen: str | list[str]) -> View:
    """All of everything, but what is chosen."""
    variables = variables_of(dashboard)
    return View(start, end, {name: [ALL] for name in variables} | chosen, variables)


def frames(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Series of an answer as Grafana's table of them: Time, tags, columns; one row a mapping."""
    assert "error" not in result, result["error"]
    return [
        {**series.get("tags", {}), **dict(zip(["Time", *series["columns"][1:]], values, strict=True))}
        for series in result.get("series", ())
        for values in series["values"]
    ]
