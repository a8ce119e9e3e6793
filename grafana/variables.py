"""Variables of dashboards: what a viewer may choose."""

from __future__ import annotations

from typing import Any, Final

from greenmine.grafana.edition import Edition
from greenmine.grafana.queries import SOURCE

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
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "skipUrlSync": False,
    }


def enterprise(edition: Edition) -> Json:
    """Enterprises with data."""
    return _query(edition, "enterprise", 'SHOW TAG VALUES FROM "statistic" WITH KEY = "enterprise"')


def site(edition: Edition, *, one: bool = False) -> Json:
    """Mines of the chosen enterprises."""
    query = 'SHOW TAG VALUES FROM "statistic" WITH KEY = "site" WHERE "enterprise" =~ /^${enterprise:regex}$/'
    return _query(edition, "site", query, one=one)


def station(edition: Edition, theme: str = "") -> Json:
    """Stations of the chosen mines, all or those that measure something of a theme."""
    parameters = [p.id for p in edition.registry.parameters.values() if p.theme == theme]
    chosen = '"enterprise" =~ /^${enterprise:regex}$/ AND "site" =~ /^${site:regex}$/'
    if parameters:
        chosen += f' AND "parameter" =~ /^({"|".join(p.replace(".", chr(92) + ".") for p in parameters)})$/'
    return _query(edition, "station", f'SHOW TAG VALUES FROM "statistic" WITH KEY = "station" WHERE {chosen}')


def kind(edition: Edition) -> Json:
    """Legal limits, targets, warnings."""
    kinds = ("legal", "target", "warning")
    options = [{"selected": False, "text": edition.t(f"kind.{k}"), "value": k} for k in kinds]
    return {
        "name": "kind",
        "type": "custom",
        "label": edition.t("variable.kind"),
        "query": ", ".join(f"{edition.t(f'kind.{k}')} : {k}" for k in kinds),
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "includeAll": True,
        "multi": True,
        "options": [{"selected": True, "text": "All", "value": "$__all"}, *options],
        "skipUrlSync": False,
    }


def _query(edition: Edition, name: str, query: str, *, one: bool = False) -> Json:
    everything = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return {
        "name": name,
        "type": "query",
        "label": edition.t(f"variable.{name}"),
        "datasource": SOURCE,
        "definition": query,
        "query": query,
        "regex": "",
        "allValue": None if one else ".*",
        "current": {} if one else everything,
        "hide": 0,
        "includeAll": not one,
        "multi": not one,
        "options": [],
        "refresh": 2,
        "skipUrlSync": False,
        "sort": 1,
    }
