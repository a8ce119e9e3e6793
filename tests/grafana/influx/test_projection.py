"""The projection on a real InfluxDB: it holds what the record holds, whatever happens to it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import time as time_of_day
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from greenmine.api.http import views as shown
from greenmine.api.pages.public import daily_compliance
from greenmine.grafana.influx.influx_provision import provision
from greenmine.grafana.influx.influx_schema import DISTRICT, FINDINGS, MEASUREMENTS, bucket_of
from greenmine.grafana.influx.projection import Projection
from greenmine.loading import load_registry
from greenmine.processing.rolling import hourly_statistics
from greenmine.record.access import RecordAccess
from greenmine.record.follower import heads
from greenmine.record.reader import Scope
from greenmine.record.record import open_engine
from greenmine.record.rows import ROW
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.wording.words import Words
from tests.influxing import RealInflux, real_influx
from tests.projecting import DAY, MONDAY, Mines, projection_settings

MINUTE = 60_000
HOUR = 60 * MINUTE
SITES = ("jiuchi", "kunyin")
KEPT = [m.name for m in MEASUREMENTS if not m.sample]

Points = dict[str, dict[tuple[tuple[str, Any], ...], dict[str, Any]]]


@dataclass
class Projected:
    """A record of two days, with a mark, projected."""

    mines: Mines
    settings: Settings
    server: RealInflux
    district: Points


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def projected(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Projected]:
    folder = tmp_path_factory.mktemp("projected")
    with real_influx(folder / "influx") as server:
        mines = Mines(folder / "data", registry, SITES, 2)
        mines.go_on()
        span = (MONDAY + 26 * HOUR, MONDAY + 29 * HOUR)
        mines.pipeline.mark(
            "jiuchi", "boundary", None, span, "maintenance", '滤膜 "更换", \\ done', "员工", MONDAY + 3 * DAY
        )
        settings = projection_settings(folder / "data", server)
        provision(settings, registry)
        project_all(settings, registry)
        yield Projected(mines, settings, server, record_points(server, DISTRICT))


def project_all(settings: Settings, registry: Registry) -> None:
    projection = Projection(settings, registry, hourly_statistics)
    while projection.turn():
        pass


def record_points(server: RealInflux, bucket: str) -> Points:
    """Everything in a bucket that the record holds; not the samples of the moment."""
    return {name: points for name, points in server.export(bucket).items() if name in KEPT}


def rows_of(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{settings.record_place}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()


def by_tags(
    points: dict[tuple[tuple[str, Any], ...], dict[str, Any]], *names: str
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Points by some of their tags and the time [ms]."""
    found = {}
    for identity, fields in points.items():
        tags = dict(identity)
        found[*(tags.get(name) for name in names), tags["time"] // 1_000_000] = fields
    assert len(found) == len(points)
    return found


def test_every_reading_of_the_record_is_there_and_no_other(projected: Projected) -> None:
    expected = {}
    statement = "select c.key, b.data from reading_block b join channel c on c.id = b.channel"
    for key, data in rows_of(projected.settings, statement):
        for time_, value, flag, quality in np.frombuffer(data, ROW).tolist():
            if flag == ord("N") and quality == 0:
                expected[*key.split("/"), time_] = {"value": value}
            else:
                expected[*key.split("/"), time_] = {"flag": chr(flag)} | ({} if value != value else {"raw": value})  # noqa: PLR0124
    assert by_tags(projected.district["reading"], "site", "station", "parameter") == expected
    assert len({tuple(fields) for fields in expected.values()}) > 1


def test_figures_and_their_revisions_equal_the_records(projected: Projected) -> None:
    names = ("mean", "minimum", "maximum", "l10", "l50", "l90", "count", "expected", "capture", "valid", "hours", "excluded",
             "suspect", "end")  # fmt: skip
    columns = ", ".join(f's."{name}"' for name in names)
    statement = f"""
        select c.key, s."window", s.start, s.revision, s.latest, {columns}
        from statistic s join channel c on c.id = s.channel"""
    stands, revisions = {}, {}
    for key, window, start, revision, latest, *values in rows_of(projected.settings, statement):
        figures = {n: v for n, v in zip(names, values, strict=True) if v is not None}
        revisions[*key.split("/"), window, str(revision), start] = figures
        if latest:
            stands[*key.split("/"), window, start] = {**figures, "revision": revision}
    found = by_tags(projected.district["statistic"], "site", "station", "parameter", "window")
    assert found == stands
    found = by_tags(projected.district["statistic_revision"], "site", "station", "parameter", "window", "revision")
    assert {k: {n: v for n, v in f.items() if n in names} for k, f in found.items()} == revisions
    assert max(int(key[4]) for key in revisions) > 0


def test_verdicts_equal_the_records(projected: Projected, registry: Registry) -> None:
    rules, words = {rule.key: rule for rule in registry.rules}, Words("en", registry)
    expected = {}
    statement = "select rule, start, verdict, value, judged, low, high, reason, reasons, detail, revision from verdict where latest"
    for key, start, verdict, value, judged, low, high, reason, reasons, detail, revision in rows_of(
        projected.settings, statement
    ):
        site, station, limit = key.split("/")
        rule = rules[key]
        parameter = registry.channels[rule.channel].parameter
        cited = {
            t.clause: f"{t.source}, {t.clause}" if t.source and t.clause else t.source for t in rule.limit.thresholds
        }
        told = judged and words.compared(rule.limit, value, judged, low, high)
        fields = {
            "verdict": verdict, "value": value, "judged": told, "low": low, "high": high, "reason": reason,
            "clause": cited[json.loads(detail)["clause"]], "revision": revision,
            "standing": ("indicative" if reasons else "statutory") if rule.limit.kind == "legal" else None,
            "asked": urlencode({"rule": key, "start": datetime.fromtimestamp(start / 1000, UTC).isoformat()}),
        }  # fmt: skip
        identity = (site, station, limit, parameter.id, parameter.theme, rule.limit.kind, start)
        expected[identity] = {n: v for n, v in fields.items() if v is not None}
    found = by_tags(projected.district["verdict"], "site", "station", "limit", "parameter", "theme", "kind")
    assert {
        k: {n: v for n, v in f.items() if n not in {"finding", "capture", "end"}} for k, f in found.items()
    } == expected
    findings = {(f["verdict"], f.get("standing")): f["finding"] for f in found.values()}
    known = {
        ("meets", "statutory"): 0, ("meets", "indicative"): 1, ("not assessable", "statutory"): 2, ("not assessable", None): 2,
        ("not assessable", "indicative"): 2, ("exceeds", "indicative"): 3, ("exceeds", "statutory"): 4, ("meets", None): 6,
        ("exceeds", None): 5,
    }  # fmt: skip
    assert findings.items() <= known.items()
    assert {3, 6} <= set(findings.values())


def test_an_episode_is_indicative_where_every_verdict_behind_it_is(projected: Projected) -> None:
    verdicts = rows_of(
        projected.settings, "select rule, start, \"end\", reasons from verdict where latest and verdict = 'exceeds'"
    )
    found = by_tags(projected.district["exceedance"], "site", "station", "limit", "kind")
    judged = 0
    for (*rule, kind, start), fields in found.items():
        end = fields.get("end", 1 << 62)
        behind = [r for key, first, last, r in verdicts if key == "/".join(rule) and last > start and first < end]
        if behind and fields["state"] != "superseded":
            assert fields["finding"] == (5 if kind != "legal" else 3 if all(behind) else 4)
            judged += 1
    assert judged


def test_the_conclusion_of_a_day_is_that_of_the_public_page(projected: Projected, registry: Registry) -> None:
    queries = RecordAccess(projected.settings.record_place, registry).queries
    found = {
        (site, theme, time): (FINDINGS[f["finding"]], f["verdicts"])
        for (site, theme, time), f in by_tags(projected.district["day"], "site", "theme").items()
    }
    expected = {}
    with queries() as asked:
        for site in (registry.site(name) for name in SITES):
            for day, themes in daily_compliance(asked, site, MONDAY + 3 * DAY):
                midnight = datetime.combine(day, time_of_day(), ZoneInfo(site.zone))
                for theme, view in themes.items():
                    if view.verdict:
                        counts = view.meets + view.exceeds + view.not_assessable
                        told = (view.verdict, view.standing), counts
                        expected[site.id, theme, round(midnight.timestamp() * 1000)] = told
    assert found == expected
    assert len({told for told, _ in found.values()}) > 1


def test_the_conclusion_on_a_mine_is_that_of_its_tiles(projected: Projected, registry: Registry) -> None:
    points = projected.server.export(DISTRICT)
    found = {
        (key[0], key[1], key[2]): (FINDINGS[f["finding"]], f["limits"], f["reason"], f["running"])
        for key, f in by_tags(points["conclusion"], "site", "theme", "addressee").items()
    }
    scope = Scope(frozenset(SITES))
    expected = {}
    with RecordAccess(projected.settings.record_place, registry).queries() as asked:
        now = asked.newest_hour(scope)
        assert {key[-1] for key in by_tags(points["conclusion"], "site", "theme", "addressee")} == {now}
        for name in SITES:
            views = shown.latest(asked, scope, now, site=name)
            for theme in registry.judged_themes:
                for one in shown.theme_judgements(views, theme.id, registry):
                    lasting = sum(limit.open for _, limit in one.running)
                    told = (one.verdict, one.standing), one.limits, next(iter(one.reasons), ""), lasting
                    expected[name, theme.id, one.addressee] = told
            rooms = {
                view.rule: (view.headroom.value or 0.0, view.headroom.hours, view.headroom.missing)
                for one in views
                for view in one.limits
                if view.headroom
            }
            projected_rooms = {
                "/".join(key[:3]): (f["most"], f["hours"], f["missing"])
                for key, f in by_tags(points["headroom"], "site", "station", "limit").items()
                if key[0] == name
            }
            assert projected_rooms == rooms
    assert {key: told for key, told in found.items() if key[0] in SITES} == expected


def test_exceedances_marks_ledger_and_health_equal_the_records(projected: Projected) -> None:
    statement = 'select rule, id, start, "end", state, peak, minutes from exceedance'
    exceedances = {
        (*rule.split("/"), str(number), start): (end, state, peak, minutes)
        for rule, number, start, end, state, peak, minutes in rows_of(projected.settings, statement)
    }
    found = by_tags(projected.district["exceedance"], "site", "station", "limit", "episode")
    assert {
        k: (f.get("end"), f["state"], f["peak"], f["minutes"]) for k, f in found.items() if f["state"] != "superseded"
    } == exceedances
    assert exceedances
    texts = {k: (f["told"], f["text_zh"], f["text_en"]) for k, f in found.items() if f["state"] != "superseded"}
    assert all(len(peak) < 9 and zh and en and zh != en for peak, zh, en in texts.values())
    (mark,) = projected.district["mark"].values()
    assert (mark["reason"], mark["author"], mark["parameter"]) == ('滤膜 "更换", \\ done', "员工", "")
    ledger = by_tags(projected.district["ledger"], "site", "device")
    assert {(k[0], k[1], f["received"], f["stored"], f["duplicate"]) for k, f in ledger.items()} == set(
        rows_of(projected.settings, "select site, device, received, stored, duplicate from ledger")
    )
    health = {(k[0], k[1], k[2], k[3], f["state"]) for k, f in by_tags(
        projected.district["health"], "site", "station", "parameter").items()}  # fmt: skip
    statement = "select c.key, since, state from health h join channel c on c.id = h.channel"
    assert health == {(*key.split("/"), since, state) for key, since, state in rows_of(projected.settings, statement)}


def test_sliding_hours_and_rolling_statistics_come_from_the_records_minutes(projected: Projected) -> None:
    hours = rows_of(projected.settings, "select rule, hour, assessable, above from sliding_hour")
    sliding = by_tags(projected.district["sliding"], "site", "station", "limit")
    assert {k: (f["assessable"], f["above"]) for k, f in sliding.items()} == {
        (*rule.split("/"), hour * HOUR): (int(a).bit_count(), int(b).bit_count()) for rule, hour, a, b in hours
    }
    rolling = by_tags(projected.district["rolling"], "site", "station", "limit", "span")
    assert {key[:3] + key[4:] for key in rolling} == set(sliding)
    for (*rule, span, end), fields in rolling.items():
        past = [row for row in hours if row[0] == "/".join(rule) and end - {"24h": 24, "7d": 168, "30d": 720}[span] * HOUR
                <= row[1] * HOUR < end]  # fmt: skip
        assert fields["above"] == sum(int(row[3]).bit_count() for row in past)
    assert any(fields["above"] for fields in rolling.values())


def test_the_limits_of_a_mine_are_rolled_together_from_the_newest_of_each(projected: Projected) -> None:
    each = by_tags(projected.district["rolling"], "site", "station", "limit", "span", "kind")
    found = by_tags(projected.district["rolling_site"], "site", "span")
    assert {(site, span, time) for site, _, _, span, kind, time in each if kind == "legal"} == set(found)
    for (site, span, end), fields in list(found.items())[::7]:
        newest = {
            key[:3]: figures
            for key, figures in sorted(each.items(), key=lambda item: item[0][-1])
            if key[3:5] == (span, "legal") and key[0] == site and end - 48 * HOUR < key[-1] <= end
        }
        shares = [figures["share"] for figures in newest.values() if "share" in figures]
        assert fields["episodes"] == sum(figures["episodes"] for figures in newest.values())
        assert fields["above"] == sum(figures["above"] for figures in newest.values())
        assert fields.get("share") == max(shares, default=None)
    assert any(fields["above"] for fields in found.values())


def test_hours_of_dust_stand_in_the_sector_of_their_wind(projected: Projected) -> None:
    figures = {
        key: f["mean"]
        for key, f in by_tags(projected.district["statistic"], "site", "station", "parameter", "window").items()
        if key[3] == "hour" and f["valid"]
    }
    expected = {}
    for (site, station, parameter, _, time), dust in figures.items():
        wind = [figures.get((site, "weather", name, "hour", time)) for name in ("wind-direction", "wind-speed")]
        if (station, parameter) == ("boundary", "pm10") and None not in wind:
            sector = round(wind[0] / 45) % 8
            expected[site, str(sector), time] = (dust, wind[1])
    found = by_tags(projected.district["wind_dust"], "site", "sector")
    assert {k: (f["dust"], f["speed"]) for k, f in found.items() if f["hours"]} == expected
    assert all(f["north"] ** 2 + f["east"] ** 2 == pytest.approx(f["speed"] ** 2) for f in found.values() if f["hours"])
    assert len({sector for _, sector, _ in expected}) > 2


def test_only_what_the_schema_lists_is_written(projected: Projected) -> None:
    found = projected.server.export(DISTRICT)
    for measurement in MEASUREMENTS:
        points = found.get(measurement.name, {})
        tags = {name for identity in points for name, _ in identity} - {"time"}
        fields = {name for values in points.values() for name in values}
        assert tags <= {t.name for t in measurement.tags}
        assert fields <= {f.name for f in measurement.fields}
    assert set(found) <= {m.name for m in MEASUREMENTS}
    assert set(KEPT) - set(found) <= {"rejection"}


def test_an_enterprises_bucket_holds_its_part_of_the_districts(projected: Projected, registry: Registry) -> None:
    for enterprise in registry.enterprises:
        part = {
            name: {k: v for k, v in points.items() if ("enterprise", enterprise.id) in k}
            for name, points in projected.district.items()
        }
        found = record_points(projected.server, bucket_of(enterprise.id))
        assert found == {name: points for name, points in part.items() if points}


def test_rebuilding_gives_the_same_points(projected: Projected, registry: Registry) -> None:
    jiuchi = bucket_of("jiuchi")
    before = record_points(projected.server, jiuchi)
    middle = MONDAY + DAY
    projected.server.query(f"DELETE WHERE time >= {middle + HOUR}ms", jiuchi)
    assert record_points(projected.server, jiuchi) != before
    rebuild(projected.settings, registry, jiuchi, since=middle)
    assert record_points(projected.server, jiuchi) == before
    rebuild(projected.settings, registry, jiuchi, since=None)
    assert record_points(projected.server, jiuchi) == before


def rebuild(settings: Settings, registry: Registry, bucket: str, since: int | None) -> None:
    projection = Projection(settings, registry, hourly_statistics)
    projection.cursors.reset(bucket, heads(open_engine(settings.record_place, read_only=True)), since)
    while projection.turn():
        pass
