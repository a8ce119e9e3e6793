"""Alert rules of Grafana's unified alerting, one set for each organisation, and the words of their messages.

Annotations and templates use ``.Labels`` and ``.Values`` rather than ``$labels`` and ``$values``: Grafana replaces what looks like
an environment variable in some provisioning files, and there is nothing to replace without a ``$``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from greenmine.grafana.board import uid
from greenmine.grafana.edition import Edition, tag_of
from greenmine.grafana.influx.influx_schema import finding_of
from greenmine.grafana.variables import UID
from greenmine.limits import threshold_on

Json = dict[str, Any]

GROUP: Final = "greenmine"
TEMPLATE: Final = "greenmine"
"""Name of the message template; it defines ``greenmine.title``, ``greenmine.message`` and ``greenmine.brief``."""
BRIEF: Final = 2
"""Alerts that a brief message tells one by one: a robot of WeCom refuses more than 2048 bytes, which five may have."""
INTERVAL: Final = 60
"""How often rules are evaluated [s]; what Grafana gives a new group by itself."""
SYSTEM: Final = {"system": "greenmine"}
"""Label of our rules, which our notification policies ask for."""

CAPTURE: Final = 0.9
"""Capture under which the alarm goes off."""
LAG: Final = 300
"""Lag of the projection above which the alarm goes off [s]."""

KEEP: Final = "KeepLast"
"""State that leaves a rule as it was."""
_KEEPS: Final = 11
"""First release of Grafana that has it."""

_DAY: Final = 86_400
_LAG_OF: Final = 'SELECT last("lag") AS "lag" FROM "projection" WHERE $timeFilter GROUP BY "bucket"'
_NAMED_AT_MOST: Final = 60
_START: Final = '{{ with .Values.RS }}{{ reReplaceAll ":[0-9]{2} .*" "" (humanizeTimestamp .Value) }}{{ end }}'
_EXPRESSIONS: Final = "__expr__"
_EPISODE: Final = '"enterprise", "site", "station", "parameter", "limit", "kind", "theme", "episode"'
_AHEAD: Final = "$ahead"
"""In a query: how far the local clock is ahead of UTC [s]."""
_CHANNEL: Final = '"enterprise", "site", "station", "parameter"'


@dataclass(frozen=True, kw_only=True)
class AlertRule:
    """One alert rule.

    Parameters
    ----------
    name : str
        Its name in the uid and in the catalogue of messages.
    queries : mapping
        InfluxQL by letter; the last value of each is taken, and is ``.Values.RX.Value`` for the letter X.
    span : int
        Time that the queries look back [s].
    condition : str
        Expression that fires where it is not 0, on ``$RX``.
    severity : str
        Label of that name.
    lasting : str
        How long the condition must hold.
    nothing : str
        State where the queries find nothing.
    failing : str
        State where InfluxDB cannot be asked.
    board : str
        Dashboard that the message links to.
    """

    name: str
    queries: Mapping[str, str]
    span: int
    condition: str
    severity: str
    lasting: str
    nothing: str
    board: str
    failing: str = KEEP


def _episodes(kinds: str) -> dict[str, str]:
    def last(field: str, then: str = "") -> str:
        return (
            f'SELECT last("{field}"){then} AS "{field}" FROM "exceedance" WHERE $timeFilter AND "kind" =~ /^({kinds})$/'
            f' AND "open" = 1 GROUP BY {_EPISODE}'
        )

    # The start as seconds of the local clock: templates write instants in UTC only.
    start = last("start", f" / 1000 + {_AHEAD}")
    return {
        "A": last("open"),
        "P": last("peak"),
        "L": last("threshold"),
        "M": last("minutes"),
        "F": last("finding"),
        "S": start,
    }


RULES: Final = (
    AlertRule(
        name="exceedance",
        queries=_episodes("legal"),
        span=90 * _DAY,
        condition="$RA > 0",
        severity="critical",
        lasting="0s",
        nothing="OK",
        board="exceedances",
    ),
    AlertRule(
        name="warning",
        queries=_episodes("warning|target"),
        span=90 * _DAY,
        condition="$RA > 0",
        severity="warning",
        lasting="0s",
        nothing="OK",
        board="exceedances",
    ),
    AlertRule(
        name="silent",
        queries={"A": f'SELECT last("code") AS "code" FROM "health" WHERE $timeFilter GROUP BY {_CHANNEL}'},
        span=400 * _DAY,
        condition="$RA == 1",
        severity="warning",
        lasting="0s",
        nothing=KEEP,
        board="operation",
    ),
    AlertRule(
        name="capture",
        queries={
            "A": (
                f'SELECT last("capture") AS "capture" FROM "statistic" WHERE $timeFilter AND "window" = \'day\''
                f" GROUP BY {_CHANNEL}"
            )
        },
        span=3 * _DAY,
        condition=f"$RA < {CAPTURE}",
        severity="warning",
        lasting="0s",
        nothing=KEEP,
        board="operation",
    ),
    AlertRule(
        name="lag",
        queries={"A": _LAG_OF},
        span=900,
        condition=f"$RA > {LAG}",
        severity="critical",
        lasting="5m",
        nothing=KEEP,
        board="operation",
    ),
    # Fires by its states alone: a lag is never negative. One series for all buckets, so that one alarm comes and not one for each.
    AlertRule(
        name="unseen",
        queries={"A": _LAG_OF.removesuffix(' GROUP BY "bucket"')},
        span=900,
        condition="$RA < 0",
        severity="critical",
        lasting="2m",
        nothing="Alerting",
        failing="Alerting",
        board="operation",
    ),
)


def rules(edition: Edition, folder: str, panels: Mapping[str, int], pages: str) -> dict[str, Json]:
    """Rules by uid, in the form of ``/api/v1/provisioning/alert-rules``.

    Parameters
    ----------
    edition : Edition
        Words, names of sites and clauses of limits.
    folder : str
        Uid of the folder they belong to.
    panels : mapping
        Panel of each dashboard that messages link to.
    pages : str
        Address of the web pages, where every exceedance has one of its own; empty: messages do not link there.
    """
    return {f"greenmine-{rule.name}": _rule(rule, edition, folder, panels, pages) for rule in RULES}


def states_of(release: int, rule: Json) -> Json:
    """A rule with the states that a release of Grafana knows: before 11 a rule cannot keep its state, and is taken for well."""
    if release >= _KEEPS:
        return rule
    states = {name: "OK" for name in ("noDataState", "execErrState") if rule[name] == KEEP}
    return rule | states


def _rule(rule: AlertRule, edition: Edition, folder: str, panels: Mapping[str, int], pages: str) -> Json:
    data = []
    for ref, asked in rule.queries.items():
        query = asked.replace(_AHEAD, str(round(edition.offset.total_seconds())))
        model = {
            "refId": ref,
            "datasource": {"type": "influxdb", "uid": UID},
            "query": query,
            "rawQuery": True,
            "resultFormat": "time_series",
            "intervalMs": 60_000,
            "maxDataPoints": 43_200,
        }
        data.append(_part(ref, UID, rule.span, model))
    data += [_expression(f"R{ref}", {"type": "reduce", "expression": ref, "reducer": "last"}) for ref in rule.queries]
    data.append(_expression("C", {"type": "math", "expression": rule.condition}))
    summary = _filled(edition, f"alert.{rule.name}.summary")
    page = {"page": f"{pages}/exceedances/{{{{ .Labels.episode }}}}"} if pages and "S" in rule.queries else {}
    return {
        "uid": f"greenmine-{rule.name}",
        "title": edition.t(f"alert.{rule.name}.title"),
        "folderUID": folder,
        "ruleGroup": GROUP,
        "condition": "C",
        "data": data,
        "noDataState": rule.nothing,
        "execErrState": rule.failing,
        "for": rule.lasting,
        "isPaused": False,
        "labels": {**SYSTEM, "severity": rule.severity, "rule": rule.name},
        "annotations": {
            "summary": _guarded(summary, edition),
            **page,
            "description": edition.t(f"alert.{rule.name}.about"),
            "__dashboardUid__": uid(rule.board, edition.language),
            "__panelId__": str(panels[rule.board]),
        },
    }


def _part(ref: str, source: str, span: int, model: Json) -> Json:
    return {
        "refId": ref,
        "queryType": "",
        "relativeTimeRange": {"from": span, "to": 0},
        "datasourceUid": source,
        "model": model,
    }


def _expression(ref: str, model: Json) -> Json:
    base = {
        "refId": ref,
        "datasource": {"type": _EXPRESSIONS, "uid": _EXPRESSIONS},
        "hide": False,
        "intervalMs": 1000,
        "maxDataPoints": 43_200,
    }
    return _part(ref, _EXPRESSIONS, 0, base | model)


def _filled(edition: Edition, key: str) -> str:
    """Text of the catalogue with Go templates in its placeholders."""
    registry = edition.registry
    names, clauses, units = {}, {}, {}
    for rule in edition.limits(lambda _: True):
        tag, threshold = tag_of(rule), threshold_on(rule.limit, edition.day)
        names[tag] = edition.limit_name(rule)
        units[tag] = edition.unit(rule.limit.unit)
        if threshold is not None:
            clauses[tag] = edition.clause(threshold)
    parameters = {c.parameter.id: edition.name(c.parameter) for c in registry.channels}
    doubtful, lawful = (edition.conclusion("exceeds", standing) for standing in ("indicative", "statutory"))
    indicative = finding_of("exceeds", "indicative")
    return edition.t(
        key,
        site=_chosen("site", {site.id: edition.name(site) for site in registry.sites}),
        station=_station(edition),
        parameter=_chosen("parameter", parameters),
        limit=_chosen("limit", names),
        clause=_chosen("limit", clauses),
        unit=_chosen("limit", units, otherwise=""),
        value='{{ printf "%.4g" .Values.RP.Value }}',
        threshold='{{ printf "%.4g" .Values.RL.Value }}',
        start=_START,
        told=f"{{{{ if eq .Values.RF.Value {indicative}.0 }}}}{doubtful}{{{{ else }}}}{lawful}{{{{ end }}}}",
        minutes='{{ printf "%.0f" .Values.RM.Value }}',
        capture="{{ humanizePercentage .Values.RA.Value }}",
        seconds='{{ printf "%.0f" .Values.RA.Value }}',
        bucket="{{ .Labels.bucket }}",
    )


def _guarded(summary: str, edition: Edition) -> str:
    """The words for an alert with labels; one without them comes of a query that failed, and has a fixed sentence."""
    if "{{" not in summary:
        return summary
    unseen = edition.t("alert.unseen.summary")
    return f"{{{{ if or .Labels.site .Labels.bucket }}}}{summary}{{{{ else }}}}{unseen}{{{{ end }}}}"


def _chosen(label: str, words: Mapping[str, str], otherwise: str | None = None) -> str:
    """A Go template for the word of a label's value; the value itself where there is no word, or too many of them."""
    branches = {f"eq .Labels.{label} {json.dumps(value)}": word for value, word in words.items()}
    return _switch(branches, f"{{{{ .Labels.{label} }}}}" if otherwise is None else otherwise)


def _station(edition: Edition) -> str:
    """The name of a station, which may be another one at each mine."""
    shared: dict[str, str] = {}
    own: dict[str, str] = {}
    for id_, names in edition.names_at.items():
        if len(set(names.values())) == 1:
            shared[id_] = next(iter(names.values()))
        else:
            station = f"(eq .Labels.station {json.dumps(id_)})"
            own |= {f"and {station} (eq .Labels.site {json.dumps(site)})": name for site, name in names.items()}
    return _chosen("station", shared, otherwise=_switch(own, "{{ .Labels.station }}"))


def _switch(branches: Mapping[str, str], default: str) -> str:
    """A Go template for the word of the first condition that holds; the default where there is none, or too many of them."""
    if not branches or len(branches) > _NAMED_AT_MOST:
        return default
    chain = "{{ else if ".join(f"{condition} }}}}{_literal(word)}" for condition, word in branches.items())
    return f"{{{{ if {chain}{{{{ else }}}}{default}{{{{ end }}}}"


def _literal(word: str) -> str:
    """A word of the registry as Go templates take it: braces in one name would spoil every message."""
    return word.replace("{{", '{{ "{{" }}')


def template(edition: Edition) -> str:
    """Go templates of the messages: a title, and a line for each alert with its time and a link."""
    seconds = round(edition.offset.total_seconds())
    when = f'{{{{ (.StartsAt.UTC.Add {seconds}000000000).Format "2006-01-02 15:04" }}}}'
    ended = f'{{{{ (.EndsAt.UTC.Add {seconds}000000000).Format "2006-01-02 15:04" }}}}'
    link = "{{ if .PanelURL }}{{ .PanelURL }}{{ else }}{{ .GeneratorURL }}{{ end }}"
    page = edition.t("alert.message.page", page="{{ .Annotations.page }}")
    page = f"{{{{ if .Annotations.page }}}}{page}{{{{ end }}}}"
    firing = edition.t("alert.message.firing", summary="{{ .Annotations.summary }}", since=when, link=link, page=page)
    resolved = edition.t("alert.message.resolved", summary="{{ .Annotations.summary }}", since=when, until=ended)
    title = edition.t(
        "alert.message.title",
        state=f'{{{{ if eq .Status "firing" }}}}{edition.t("alert.message.alarm")}'
        f"{{{{ else }}}}{edition.t('alert.message.over')}{{{{ end }}}}",
        rule=_rule_name(edition),
        enterprise=_enterprises(edition),
        count="{{ len .Alerts }}",
    )
    lines = {".Alerts.Firing": firing, ".Alerts.Resolved": resolved}
    every = {alerts: f"{{{{ range {alerts} }}}}{line}\n{{{{ end }}}}" for alerts, line in lines.items()}
    rest = edition.t("alert.message.rest")
    brief = "".join(
        f"{{{{ if gt (len {alerts}) {BRIEF} }}}}"
        f"{{{{ range slice {alerts} 0 {BRIEF} }}}}{lines[alerts]}\n{{{{ end }}}}{rest}\n{{{{ else }}}}{whole}{{{{ end }}}}"
        for alerts, whole in every.items()
    )
    return "".join(
        f'{{{{ define "{TEMPLATE}.{name}" }}}}{text}{{{{ end }}}}\n'
        for name, text in (("title", title), ("message", "".join(every.values())), ("brief", brief))
    )


def _rule_name(edition: Edition) -> str:
    """Name of the rule; Grafana puts one of its own in the place of that of a rule whose query fails or finds nothing."""
    own = " ".join(f'(eq .CommonLabels.alertname "{name}")' for name in ("DatasourceError", "DatasourceNoData"))
    unseen = edition.t("alert.unseen.title")
    return f"{{{{ if or {own} }}}}{unseen}{{{{ else }}}}{{{{ .CommonLabels.alertname }}}}{{{{ end }}}}"


def _enterprises(edition: Edition) -> str:
    names = {e.id: edition.name(e) for e in edition.registry.enterprises}
    return _chosen("enterprise", names).replace(".Labels.", ".CommonLabels.")
