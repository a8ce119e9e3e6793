"""Every query of every panel, variable and annotation of every board, in every organisation, asked as Grafana asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from greenmine.grafana.influx.influx_schema import DISTRICT
from greenmine.grafana.queries import COARSE, FINE
from greenmine.grafana.variables import UID
from tests.grafana.interpolating import View, everything
from tests.real.conftest import Installation, Provisioned
from tests.real.servers import Answer, Grafana, InfluxDB

SOMEWHERE = ("exceedance", "mark", "rejection")
"""Measurements that not every mine has, nor of every theme and state: a query of them may be empty where no such point is."""
_PATTERN = re.compile(r'"(\w+)" =~ /\^([^$/]+)\$/')
_CONDITION = re.compile(r'"(\w+)" (!?=) (?:\'([^\']*)\'|(\d+))')


def boards(grafana: Grafana, org: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Our dashboards of an organisation as Grafana holds them, by uid; people may have made others."""
    found = grafana.get("/api/search?type=dash-db&limit=5000", org=org)
    for row in (one for one in found if one["uid"].startswith("greenmine-")):
        yield row["uid"], grafana.get(f"/api/dashboards/uid/{row['uid']}", org=org)["dashboard"]


def view_of(uid: str, board: Mapping[str, Any], key: str, installation: Installation) -> View:
    """All of everything; the dashboard of one mine shows one that has everything, or the enterprise's own."""
    own = {site.enterprise: site.id for site in installation.registry.sites}.get(key, "kunyin")
    chosen = {"site": own} if uid.startswith("greenmine-mine-") else {}
    return everything(board, installation.start, installation.end, **chosen)


def ask(grafana: Grafana, org: int, view: View, targets: list[Mapping[str, Any]], panel: Mapping[str, Any]) -> Answer:
    """Ask what a panel asks."""
    queries = [
        {
            **{name: value for name, value in target.items() if name != "hide"},
            "query": view.chosen_in(target["query"]),
            "datasource": {"type": "influxdb", "uid": UID},
            "intervalMs": view.interval(panel) * 1000,
            "maxDataPoints": 1000,
        }
        for target in targets
    ]
    body = {"queries": queries, "from": str(view.start), "to": str(view.end)}
    return grafana.call("POST", "/api/ds/query", body, org=org)


def filled(result: Mapping[str, Any]) -> bool:
    """Whether an answer to a query holds a value, besides times."""
    return any(
        value is not None
        for frame in result.get("frames", ())
        for field, column in zip(frame["schema"]["fields"], frame["data"]["values"], strict=False)
        if field["type"] != "time"
        for value in column
    )


@pytest.fixture(scope="module")
def answers(provisioned: Provisioned, installation: Installation) -> list[tuple[str, str, str, str, str, Any]]:
    """Organisation, board, panel, letter, query and result of everything that can be asked."""
    found = []
    for key, org in provisioned.grafana.organisations().items():
        for uid, board in boards(provisioned.grafana, org):
            view = view_of(uid, board, key, installation)
            asked = [(panel["title"], panel["targets"], panel) for panel in board["panels"] if panel.get("targets")]
            asked += [
                (f"variable {v['name']}", [{"refId": "V", "query": v["query"], "rawQuery": True}], {})
                for v in board["templating"]["list"]
                if v["type"] == "query"
            ]
            asked += [
                # Charts of each station are shaded while one is chosen.
                (
                    f"annotation {a['name']}",
                    [{"refId": "N", "query": a["query"].replace("${station:regex}", "boundary"), "rawQuery": True}],
                    {},
                )
                for a in board["annotations"]["list"]
                if "query" in a
            ]
            for title, targets, panel in asked:
                answer = ask(provisioned.grafana, org, view, targets, panel)
                results = answer.json().get("results", {})
                for target in targets:
                    said = results.get(target["refId"], {"error": answer.body[:500]})
                    found.append((key, uid, title, target["refId"], target["query"], said))
    return found


def wanted(point: Mapping[str, Any], query: str) -> bool:
    """Whether a point has what the conditions of a query say of tags and fields; those that name variables say nothing."""
    if not all(re.fullmatch(some, str(point.get(name))) for name, some in _PATTERN.findall(query)):
        return False
    found = [(name, sign == "=", text or number) for name, sign, text, number in _CONDITION.findall(query)]
    return all((str(point.get(name)) == value) is equal for name, equal, value in found)


def may_be_empty(key: str, query: str, points: Mapping[str, list[dict[str, Any]]]) -> bool:
    """Whether a query asks for what nothing in an organisation is."""
    for measurement in SOMEWHERE:
        if f'FROM "{measurement}"' in query:
            seen = [p for p in points[measurement] if key in {"district", p["enterprise"]}]
            return not any(wanted(point, query) for point in seen)
    return False


@pytest.fixture(scope="module")
def points(provisioned: Provisioned, influx: InfluxDB) -> dict[str, list[dict[str, Any]]]:
    """All points of `SOMEWHERE` with their tags and fields."""
    assert provisioned.projection.caught_up()
    found: dict[str, list[dict[str, Any]]] = {}
    for measurement in SOMEWHERE:
        (result,) = influx.query(f'SELECT * FROM "{measurement}"', DISTRICT)
        found[measurement] = [
            dict(zip(series["columns"], row, strict=True)) for series in result["series"] for row in series["values"]
        ]
    return found


def test_every_query_is_answered_without_an_error(
    answers: list[tuple[str, str, str, str, str, Any]], record_property: pytest.RecordProperty
) -> None:
    record_property("queries", len(answers))
    faults = [(key, uid, title, ref, r["error"]) for key, uid, title, ref, _, r in answers if "error" in r]
    assert len(answers) > 500
    assert faults == []


def test_every_panel_that_should_have_data_has_some(
    answers: list[tuple[str, str, str, str, str, Any]], points: dict[str, list[dict[str, Any]]]
) -> None:
    empty = {
        f"{key} {uid} {title}"
        for key, uid, title, _, query, result in answers
        if "error" not in result and not filled(result) and (COARSE not in query or FINE in query)
        if not may_be_empty(key, query, points)
        if '"finding" = ' not in query  # bars of one colour; those of the others are in the panel too
    }
    assert not empty, "\n".join(sorted(empty))


def test_what_may_be_empty_is_little(
    answers: list[tuple[str, str, str, str, str, Any]], points: dict[str, list[dict[str, Any]]]
) -> None:
    asked = [(key, query) for key, _, _, _, query, _ in answers if any(f'FROM "{name}"' in query for name in SOMEWHERE)]
    shades = [query for key, query in asked if key == "district" and 'AS "until"' in query]
    others = [(key, query) for key, query in asked if 'AS "until"' not in query]
    assert not [query for key, query in others if key == "district" and may_be_empty(key, query, points)]
    assert sum(may_be_empty(key, query, points) for key, query in others) < len(others) / 2
    assert len([query for query in shades if not may_be_empty("district", query, points)]) >= 5, "few are shaded"
