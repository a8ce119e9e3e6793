"""Every query of every dashboard on a real InfluxDB that holds seven simulated days."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.api.http import views as shown_views
from greenmine.grafana.dashboards import dashboards
from greenmine.grafana.edition import Edition
from greenmine.grafana.influx.influx_schema import FINDINGS
from greenmine.grafana.panels import AMBER, GREY, RED
from greenmine.grafana.queries import COARSE, FINE
from greenmine.record import schema
from greenmine.record.access import RecordAccess
from greenmine.record.reader import Scope
from greenmine.record.rows import ROW
from tests.grafana.conftest import Projected
from tests.grafana.interpolating import View, everything, frames
from tests.grafana.simulated import END, SITES, START

BY_FINDING = ("S", "I", "N")
"""Letters of queries for what exceeds, at law and by an indicative method, and for what is not assessable."""
BOARDS = ("overview", "wall", "mine", "dust", "noise", "water", "exceedances", "operation")


@pytest.fixture(scope="module")
def boards(edition: Edition) -> dict[str, dict[str, Any]]:
    return dashboards(edition)


def view_of(name: str, board: Mapping[str, Any]) -> View:
    """All of everything; the dashboard of one mine shows one that has everything."""
    return everything(board, START, END, **({"site": "kunyin"} if name == "mine" else {}))


def queries(board: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel, target


def shown(panel: Mapping[str, Any]) -> set[str]:
    """Columns that a table's overrides and transformations count on, as far as the query makes them."""
    organize = next(t["options"] for t in panel["transformations"] if t["id"] == "organize")
    named = {*organize["renameByName"], *organize["excludeByName"]}
    return {name.partition(" (")[0] for name in named}


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_query_has_its_columns_and_a_row(
    projected: Projected, boards: dict[str, dict[str, Any]], name: str
) -> None:
    view = view_of(name, boards[name])
    for panel, target in queries(boards[name]):
        where = f"{name}, {panel['title']}, {target['refId']}"
        rows = frames(projected.ask(view.fill(target["query"], panel)))
        if coarse(target):  # these readings are close enough together
            assert not rows, where
            continue
        if target["refId"] in BY_FINDING and not rows:  # nothing was found so
            continue
        assert rows, where
        figures = [
            value for row in rows for key, value in row.items() if key != "Time" and isinstance(value, int | float)
        ]
        assert figures, where
        assert all(math.isfinite(value) for value in figures), where


def test_bars_have_the_colour_of_the_latest_verdict(projected: Projected, boards: dict[str, dict[str, Any]]) -> None:
    view = view_of("mine", boards["mine"])
    latest = projected.ask(
        f'SELECT last("finding") AS "finding" FROM "verdict" WHERE time <= {END}ms AND "site" = \'kunyin\''
        ' GROUP BY "station", "limit"'
    )
    findings = {(row["station"], row["limit"]): row["finding"] for row in frames(latest)}
    bars = [
        (FINDINGS[findings[row["station"], row["limit"]]], colour)
        for panel in boards["mine"]["panels"]
        if panel["type"] == "bargauge"
        for target in panel["targets"]
        for row in frames(projected.ask(view.fill(target["query"], panel)))
        for colour in [colours_of(panel).get(target["refId"])]
    ]
    own = {("exceeds", "statutory"): RED, ("exceeds", "indicative"): AMBER, ("not assessable", "indicative"): GREY}
    assert {finding for finding, _ in bars} >= {("meets", "statutory"), ("exceeds", "indicative")}
    gauges = [panel for panel in boards["mine"]["panels"] if panel["type"] == "bargauge"]
    assert [colours_of(panel) for panel in gauges] == [dict(zip(BY_FINDING, own.values(), strict=True))] * 2
    for finding, colour in bars:
        assert colour == own.get(finding), finding


def colours_of(panel: Mapping[str, Any]) -> dict[str, str]:
    """The one colour of what a query gives, by its letter, where it has one."""
    return {
        override["matcher"]["options"]: one["value"]["steps"][0]["color"]
        for override in panel["fieldConfig"]["overrides"]
        for one in override["properties"]
        if override["matcher"]["id"] == "byFrameRefID" and one["id"] == "thresholds"
    }


def coarse(target: Mapping[str, Any]) -> bool:
    """A query that only answers where a point stands for an hour or more."""
    return COARSE in target["query"] and FINE not in target["query"]


def test_over_a_year_curves_of_readings_come_from_hourly_figures(
    projected: Projected, boards: dict[str, dict[str, Any]]
) -> None:
    asked = 0
    for name in ("mine", "dust", "noise", "water"):
        chosen = {"site": "kunyin"} if name == "mine" else {}
        view = everything(boards[name], END - 365 * 86_400_000, END, **chosen)
        pairs = {p["id"]: (p, p["targets"]) for p, t in queries(boards[name]) if coarse(t)}
        for panel, targets in pairs.values():
            fine, long = (frames(projected.ask(view.fill(t["query"], panel))) for t in targets[:2])
            assert (fine, bool(long)) == ([], True), panel["title"]
            asked += 1
    assert asked > 10


@pytest.mark.parametrize("name", BOARDS)
def test_tables_name_every_column_of_their_queries(
    projected: Projected, boards: dict[str, dict[str, Any]], name: str
) -> None:
    view = view_of(name, boards[name])
    for panel in boards[name]["panels"]:
        if panel["type"] in {"table", "barchart"}:
            columns = {
                key
                for t in panel["targets"]
                for row in frames(projected.ask(view.fill(t["query"], panel)))
                for key in row
            }
            joined = any(t["id"] in {"joinByField", "groupBy"} for t in panel["transformations"])
            merged = any(t["id"] == "merge" for t in panel["transformations"]) and "Time" not in shown(panel)
            assert columns - ({"Time"} if joined or merged else set()) == shown(panel), panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_finds_values(projected: Projected, boards: dict[str, dict[str, Any]], name: str) -> None:
    view = view_of(name, boards[name])
    for variable in boards[name]["templating"]["list"]:
        if variable["type"] == "query":
            result = projected.ask(view.fill(variable["query"]))
            values = [row[1] for series in result["series"] for row in series["values"]]
            assert values, variable["name"]
            assert variable["name"] != "site" or set(values) == set(SITES)


@pytest.mark.parametrize("name", BOARDS)
def test_a_choice_of_sites_leaves_out_the_others(
    projected: Projected, boards: dict[str, dict[str, Any]], name: str
) -> None:
    chosen = ["kunyin"] if name == "mine" else ["kunyin", "hengjie"]
    view = everything(boards[name], START, END, site=chosen)
    for panel, target in queries(boards[name]):
        rows = frames(projected.ask(view.fill(target["query"], panel)))
        assert {row["site"] for row in rows if "site" in row} <= set(chosen), panel["title"]


def test_an_enterprise_sees_its_dashboards_full(projected: Projected, edition: Edition) -> None:
    for name, board in dashboards(edition.of("kunyin"), district=False).items():
        assert "jiuchi" not in str(board)
        view = view_of(name, board)
        for panel, target in queries(board):
            rows = frames(projected.ask(view.fill(target["query"], panel), "greenmine_kunyin"))
            # One mine may have no warnings and no rejections; the samples of this test are in the district's bucket only.
            optional = panel["fieldConfig"]["defaults"]["noValue"] == "0" or re.search(
                '"(projection|rejection)"|"open" = 1', target["query"]
            )
            optional = optional or coarse(target) or target["refId"] in BY_FINDING
            assert rows or optional, (name, panel["title"])
            assert {row["site"] for row in rows if "site" in row} <= {"kunyin"}, panel["title"]


def answer(
    projected: Projected, board: Mapping[str, Any], title: str, ref: str = "A", **chosen: Any
) -> list[dict[str, Any]]:
    """Rows of a panel."""
    view = everything(board, START, END, **chosen)
    panel, target = next((p, t) for p, t in queries(board) if p["title"] == title and t["refId"] == ref)
    return frames(projected.ask(view.fill(target["query"], panel)))


def test_hourly_means_are_those_of_the_record(
    projected: Projected, boards: dict[str, dict[str, Any]], edition: Edition
) -> None:
    rows = answer(projected, boards["dust"], edition.t("dust.hourly-pm10.title"))
    found = {(f"{r['site']}/{r['station']}/pm10", r["Time"]): r["mean"] for r in rows if r["mean"] is not None}
    keys = {int(n): c.key for n, c in zip(projected.record.channel_ids, projected.registry.channels, strict=True)}
    table = schema.statistic.c
    standing = sa.select(schema.statistic).where(table.latest, table.window == "hour", table.valid)
    expected = {
        (keys[row["channel"]], row["start"]): row["mean"]
        for row in projected.record.rows(standing)
        if keys[row["channel"]].endswith("/pm10") and row["start"] >= START
    }
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_ranking_tells_what_the_limits_of_each_mine_add_up_to(
    projected: Projected, boards: dict[str, dict[str, Any]], edition: Edition
) -> None:
    ranked = answer(projected, boards["overview"], edition.t("overview.ranking.title"))
    each = frames(
        projected.ask(
            'SELECT last("above") AS "above", "episodes", "share" FROM "rolling"'
            f" WHERE time > {END}ms - 2d AND time <= {END}ms AND \"span\" = '30d' AND \"kind\" = 'legal'"
            ' GROUP BY "site", "station", "limit"'
        )
    )
    expected = {
        site: (
            sum(row["above"] for row in each if row["site"] == site),
            sum(row["episodes"] for row in each if row["site"] == site),
            max(row["share"] or 0 for row in each if row["site"] == site),
        )
        for site in SITES
    }
    assert {row["site"]: (row["above"], row["episodes"], row["share"]) for row in ranked} == expected
    assert any(above for above, *_ in expected.values())


def test_the_rose_tells_what_hours_of_dust_and_wind_give_together(
    projected: Projected, boards: dict[str, dict[str, Any]], edition: Edition
) -> None:
    of_hours: dict[tuple[str, int], dict[str, float]] = {}
    for parameter, station in (("pm10", "boundary"), ("wind-direction", "weather"), ("wind-speed", "weather")):
        rows = frames(
            projected.ask(
                f'SELECT mean("mean") AS "mean" FROM "statistic" WHERE time >= {START}ms AND time <= {END}ms'
                f' AND "window" = \'hour\' AND "valid" = 1 AND "parameter" = \'{parameter}\' AND "station" = \'{station}\''
                ' GROUP BY time(1h), "site" fill(none)'
            )
        )
        for row in rows:
            of_hours.setdefault((row["site"], row["Time"]), {})[parameter] = row["mean"]
    whole = [hour for hour in of_hours.values() if len(hour) == 3]
    sectors: dict[str, list[float]] = {}
    for hour in whole:
        sectors.setdefault(str(math.floor((hour["wind-direction"] + 22.5) / 45) % 8), []).append(hour["pm10"])
    rose = answer(projected, boards["dust"], edition.t("dust.rose.title"))
    assert {row["sector"]: row["spans"] for row in rose} == {k: len(dust) for k, dust in sectors.items()}
    assert {row["sector"]: row["dust"] for row in rose} == pytest.approx({k: np.mean(v) for k, v in sectors.items()})
    points = answer(projected, boards["dust"], edition.t("dust.polar.title"), "hours")
    turns = {h["wind-speed"] * math.cos(math.radians(h["wind-direction"])) * 0.01: h["pm10"] for h in whole}
    assert sorted(p["latitude"] for p in points) == pytest.approx(sorted(turns))
    assert sorted(p["dust"] for p in points) == pytest.approx(sorted(turns.values()))


def test_sound_is_averaged_by_energy(projected: Projected, boards: dict[str, dict[str, Any]], edition: Edition) -> None:
    rows = answer(projected, boards["noise"], edition.t("noise.minutes.title"), site=["kunyin"], station=["boundary"])
    index = next(c.index for c in projected.registry.channels if c.key == "kunyin/boundary/laeq")
    number = int(projected.record.channel_ids[index])
    table = schema.reading_block
    blocks = projected.record.rows(sa.select(table.c.data).where(table.c.channel == number))
    stored = np.concatenate([np.frombuffer(row["data"], ROW) for row in blocks])
    good = stored[(stored["flag"] == ord("N")) & (stored["value"] >= 0) & (stored["value"] <= 160)]
    width = rows[1]["Time"] - rows[0]["Time"]
    checked = 0
    for row in rows[100:400:7]:
        inside = good["value"][(good["time"] >= row["Time"]) & (good["time"] < row["Time"] + width)]
        if len(inside):
            assert row["level"] == pytest.approx(10 * np.log10(np.mean(10 ** (inside / 10))), abs=1e-6)
            checked += 1
    assert checked > 20


def test_exceedances_are_those_of_the_record(
    projected: Projected, boards: dict[str, dict[str, Any]], edition: Edition
) -> None:
    rows = answer(projected, boards["exceedances"], edition.t("exceedances.list.title"))
    found = {
        (f"{r['site']}/{r['station']}/{r['limit']}", r["Time"]): (r["state"], r["told"], r["minutes"], r["threshold"])
        for r in rows
    }
    parameters = {rule.key: edition.registry.parameters[rule.limit.parameter] for rule in edition.registry.rules}
    expected = {
        (r["rule"], r["start"]): (
            r["state"], edition.figure(r["peak"], parameters[r["rule"]], r["threshold"]), r["minutes"], r["threshold"]
        )
        for r in projected.record.rows(sa.select(schema.exceedance).where(schema.exceedance.c.start >= START))
    }  # fmt: skip
    assert found == expected
    assert {state for state, *_ in found.values()} == {"open", "closed"}
    assert {3, 4} <= {row["finding"] for row in rows}, "both indicative and statutory ones"


def test_limit_lines_hold_the_threshold_of_each_day(
    projected: Projected, boards: dict[str, dict[str, Any]], edition: Edition
) -> None:
    rows = answer(projected, boards["dust"], edition.t("dust.daily-pm10.title"), "L")
    levels = {row["limit"]: row["high"] for row in rows if row["high"] is not None}
    assert levels == {"gb3095-pm10-day-class2": 120, "gb3095-pm10-day-class2#target-1": 100}


def test_the_overview_tells_the_conclusion_on_the_emissions_of_each_mine(
    projected: Projected, boards: dict[str, dict[str, Any]], edition: Edition
) -> None:
    with RecordAccess(projected.settings.record_place, projected.registry).queries() as asked:
        scope = Scope(frozenset(site.id for site in projected.registry.sites))
        views = shown_views.latest(asked, scope, asked.newest_hour(scope) or 0)
    for theme in ("dust", "noise", "water"):
        expected = {}
        for site in projected.registry.sites:
            of_site = [view for view in views if view.site == site.id]
            for one in shown_views.theme_judgements(of_site, theme, projected.registry):
                if one.addressee == "emission":
                    expected[site.id] = FINDINGS.index((one.verdict, one.standing))
        rows = answer(projected, boards["overview"], edition.t("overview.mines.title"), theme)
        assert {row["site"]: row[theme] for row in rows} == expected
        assert expected
