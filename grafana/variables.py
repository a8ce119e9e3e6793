"""Variables of dashboards: what a viewer may choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from greenmine.grafana.edition import Edition

UID: Final = "greenmine-influx"
"""Name and uid of the data source that provisioning makes; alert rules refer to it."""

Json = dict[str, Any]


def source(edition: Edition) -> Json:
    """Which InfluxDB: one where provisioning made the organisation."""
    return {
        "name": "datasource",
        "type": "datasource",
        "label": edition.t("variable.datasource"),
        "query": "influxdb",
        "regex": "",
        "current": {"selected": False, "text": UID, "value": UID},
        "hide": 2,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "skipUrlSync": False,
    }


def enterprise(edition: Edition, *, shown: bool = True) -> Json:
    """Enterprises of the registry; not to be seen where there is nothing to choose."""
    made = _chosen(edition, "enterprise", {e.id: edition.name(e) for e in edition.registry.enterprises})
    return made | {"hide": 0 if shown and len(edition.registry.enterprises) > 1 else 2}


def site(edition: Edition, *, one: bool = False, first: str = "") -> Json:
    """Mines of the registry: all, one at a time, or the first that measures a theme until others are chosen."""
    made = _chosen(edition, "site", edition.site_names, one=one)
    measuring = {channel.site for channel in edition.registry.channels if channel.parameter.theme == first}
    for value, text in [(id_, name) for id_, name in edition.site_names.items() if id_ in measuring][:1]:
        made["current"] = {"selected": True, "text": [text], "value": [value]}
        made["options"] = [option | {"selected": option["value"] == value} for option in made["options"]]
    return made


def station(edition: Edition, theme: str = "") -> Json:
    """Stations of the registry, all or those that measure something of a theme; one of an id stands for that id at every mine."""
    measuring = {c.station for c in edition.registry.channels if theme in {"", c.parameter.theme}}
    texts = {id_: edition.station_names.get(id_, id_) for id_ in edition.names_at if id_ in measuring}
    return _chosen(edition, "station", texts)


def kind(edition: Edition) -> Json:
    """Legal limits, targets, warnings."""
    return _chosen(edition, "kind", {k: edition.t(f"kind.{k}") for k in ("legal", "target", "warning")})


def _chosen(edition: Edition, name: str, texts: Mapping[str, str], *, one: bool = False) -> Json:
    """A list of names whose ids go into queries: Grafana makes no names of what a query answers."""
    options = [{"selected": False, "text": text, "value": value} for value, text in texts.items()]
    everything = {"selected": not one, "text": "All", "value": "$__all"}
    first = {key: options[0][key] for key in ("text", "value")} if options else {}
    return {
        "name": name,
        "type": "custom",
        "label": edition.t(f"variable.{name}"),
        "query": ", ".join(f"{_escaped(text)} : {_escaped(value)}" for value, text in texts.items()),
        "allValue": None if one else ".*",
        "current": first if one else {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "includeAll": not one,
        "multi": not one,
        "options": options if one else [everything, *options],
        "skipUrlSync": False,
    }


def _escaped(text: str) -> str:
    """A text as a part of a list that commas separate."""
    return text.replace(",", "\\,")
