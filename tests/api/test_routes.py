from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import insert, update

from greenmine.api.app import create_app
from greenmine.api.http.addresses import check_addresses
from greenmine.api.serve import serve
from greenmine.record import schema
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.times import HOUR, local
from greenmine.uplink.outbox import FILE, UplinkCursor, UplinkOutbox
from tests.api.conftest import Served
from tests.api.filling import LOUD, add_reading, number_of
from tests.api.serving import serving
from tests.api.signing import bearer, token_for

DOCS = Path(__file__).parents[2] / "docs"
CHANNEL = f"{LOUD}/boundary/tsp"
LISTS = [
    "/api/v1/sites",
    "/api/v1/stations",
    "/api/v1/latest",
    f"/api/v1/readings?channel={CHANNEL}",
    f"/api/v1/statistics?channel={CHANNEL}",
    f"/api/v1/statistics?channel={CHANNEL}&window=15min&every=5min",
    "/api/v1/verdicts",
    "/api/v1/exceedances",
    f"/api/v1/exceedance-statistics?site={LOUD}",
    f"/api/v1/air-index?site={LOUD}",
    "/api/v1/ledger",
    "/api/v1/rejections",
]
PAGED = [
    ("/api/v1/latest", 7),
    (f"/api/v1/readings?channel={CHANNEL}", 500),
    (f"/api/v1/statistics?channel={CHANNEL}", 7),
    (f"/api/v1/verdicts?site={LOUD}", 7),
    ("/api/v1/exceedances", 4),
    ("/api/v1/ledger", 7),
    ("/api/v1/rejections", 2),
]


def problem_of(answer: httpx.Response) -> dict[str, object]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, object] = msgspec.json.decode(answer.content)
    assert set(problem) - {"errors", "detail_zh"} == {"type", "title", "status", "detail", "instance"}
    assert problem["status"] == answer.status_code
    return problem


@pytest.mark.parametrize("page", ["api.md", "api.zh.md"])
def test_every_route_is_documented(tmp_path: Path, registry: Registry, page: str) -> None:
    app = create_app(Settings(data=tmp_path), registry)
    paths = {*app.openapi()["paths"], "/static", *(route.path for route in iter_route_contexts(app.routes))}
    text = (DOCS / page).read_text("utf-8")
    assert len(paths) >= 30
    assert [path for path in sorted(paths) if f"`{path}`" not in text] == []


@pytest.mark.parametrize("path", LISTS)
def test_lists_have_items_and_a_next(served: Served, path: str) -> None:
    answer = served.client.get(path)
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"items", "next"}
    assert body["items"]


@pytest.mark.parametrize(("path", "size"), PAGED)
def test_pages_give_every_item_once(served: Served, path: str, size: int) -> None:
    join = "&" if "?" in path else "?"
    whole = served.client.get(f"{path}{join}size=10000").json()["items"]
    found, cursor, pages = [], "", 0
    while cursor is not None:
        given = {"size": size} | ({"cursor": cursor} if cursor else {})
        body = served.client.get(httpx.URL(path).copy_merge_params(given)).json()
        assert len(body["items"]) <= size
        found += body["items"]
        cursor = body["next"]
        pages += 1
    assert found == whole
    assert pages == -(-len(whole) // size)
    assert pages > 1


@pytest.mark.parametrize("path", LISTS)
def test_an_unknown_parameter_is_an_error(served: Served, path: str) -> None:
    answer = served.client.get(httpx.URL(path).copy_merge_params({"colour": "red"}))
    assert answer.status_code == 400
    problem = problem_of(answer)
    assert problem["errors"] == [{"parameter": "colour", "detail": "unknown parameter"}]


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/nothing", 404, "nothing at /nothing"),
        ("/api/v1/latest?site=nowhere", 404, "no site 'nowhere'"),
        ("/api/v1/exceedances?site=nowhere", 404, "no site 'nowhere'"),
        ("/api/v1/events?site=nowhere", 404, "no site 'nowhere'"),
        ("/api/v1/readings?channel=a/b/c", 404, "no channel 'a/b/c'"),
        ("/api/v1/verdicts?limit=none", 404, "no limit 'none'"),
        ("/sites/nowhere", 404, "no site 'nowhere'"),
        (f"/sites/{LOUD}/charts/gold", 404, "no chart of 'gold'"),
        ("/static/nothing.css", 404, "nothing at"),
        ("/api/v1/readings", 400, "channel: required"),
        (f"/api/v1/readings?channel={CHANNEL}&from=2026-11-22T10:00:00", 400, "time with offset"),
        (f"/api/v1/readings?channel={CHANNEL}&from=1790000000", 400, "time with offset"),
        (f"/api/v1/readings?channel={CHANNEL}&size=10001", 400, "size"),
        (f"/api/v1/readings?channel={CHANNEL}&cursor=x", 400, "cursor"),
        ("/api/v1/latest?cursor=x", 400, "cursor: 'x' is not the 'next'"),
        (f"/api/v1/latest?site=jiuchi&cursor={CHANNEL}", 400, "is not the 'next'"),
        (f"/api/v1/statistics?channel={CHANNEL}&window=week", 400, "window"),
        (f"/api/v1/statistics?channel={CHANNEL}&window=1h&every=1ms", 400, "at most 31 days"),
        (f"/api/v1/statistics?channel={CHANNEL}&window=999999h", 400, "31 days"),
        (f"/api/v1/statistics?channel={CHANNEL}&window=day&every=1h", 400, "every"),
        ("/api/v1/exceedances?state=broken", 400, "state"),
        ("/api/v1/ledger?from=yesterday", 400, "from"),
        ("/?lang=fr", 400, "lang"),
    ],
)
def test_errors_are_problem_details(served: Served, path: str, status: int, part: str) -> None:
    answer = served.client.get(path)
    assert answer.status_code == status
    assert part in str(problem_of(answer)["detail"])


def test_a_wrong_method_is_a_problem(served: Served) -> None:
    answer = served.client.post("/api/v1/sites")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert "use GET" in str(problem_of(answer)["detail"])


def test_a_wrong_event_id_is_a_problem(served: Served) -> None:
    answer = served.client.get("/api/v1/events", headers={"Last-Event-ID": "seven"})
    assert answer.status_code == 400
    assert "Last-Event-ID" in str(problem_of(answer)["detail"])


def test_a_browser_gets_a_page_for_an_error(served: Served) -> None:
    sent = {"Authorization": served.client.headers["Authorization"], "Accept": "text/html", "Accept-Language": "en"}
    answer = httpx.get(served.client.base_url.join("/sites/nowhere"), headers=sent)  # no cookie tells its language
    assert answer.status_code == 404
    assert "There is no such page or mine." in answer.text


@pytest.mark.sqlite("a file is spoiled")
def test_an_unreadable_record_is_unavailable(tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "record.sqlite").write_bytes(b"this is no database" * 100)
    headers = bearer(token_for(tmp_path))
    with serving(tmp_path, registry) as address:
        answer = httpx.get(f"{address}/api/v1/latest", headers=headers)
    assert answer.status_code == 503
    assert "record" in str(problem_of(answer)["detail"])


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", ""])
def test_a_foreign_host_name_is_refused(served: Served, host: str) -> None:
    answer = served.client.get("/api/v1/sites", headers={"Host": host})
    assert answer.status_code == 400
    assert "Host" in str(problem_of(answer)["detail"])


@pytest.mark.parametrize("path", ["/", "/api/v1/sites", "/nothing", "/static/style.css"])
def test_every_answer_has_the_security_headers(served: Served, path: str) -> None:
    headers = served.client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_only_loopback_is_served(tmp_path: Path, registry: Registry, host: str) -> None:
    with pytest.raises(ValueError, match="GREENMINE_HOST"):
        create_app(Settings(data=tmp_path, host=host), registry)
    with pytest.raises(ValueError, match="GREENMINE_HOST"):
        serve(Settings(data=tmp_path, host=host), registry)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_is_accepted(host: str) -> None:
    check_addresses(Settings(host=host))


def test_health_tells_of_the_worker(live: Served, bare: httpx.Client) -> None:
    assert bare.get("/healthz").status_code == 503
    assert bare.get("/healthz").json()["state"] == "no worker yet"
    answer = live.client.get("/healthz")
    assert (answer.status_code, answer.json()["state"]) == (200, "running")
    assert answer.json()["workers"][0]["status"]["connected"] is True
    with live.engine.begin() as connection:
        connection.execute(update(schema.worker).values(updated=live.now - 60_000))
    answer = live.client.get("/healthz")
    assert (answer.status_code, answer.json()["state"]) == (503, "stopped")


def test_metrics_are_computed_from_the_record(served: Served) -> None:
    text = served.client.get("/metrics").text
    devices = sum(len(site.devices) for site in served.registry.sites)
    assert f"greenmine_stored_total {8640.0 * devices}" in text
    assert "greenmine_open_exceedances 1.0" in text
    assert "site=" not in text
    assert 'greenmine_worker{figure="commit_ms.p99",worker="collector"} 9.8' in text
    age = next(line for line in text.splitlines() if line.startswith("greenmine_newest_reading_age_seconds "))
    assert 0 <= float(age.split()[1]) < 300


def test_metrics_tell_of_each_mine_where_that_is_set(served: Served) -> None:
    with serving(served.data, served.registry, metrics_sites=True) as address:
        text = httpx.get(f"{address}/metrics", headers=served.client.headers).text
    devices = len(served.registry.site(LOUD).devices)
    assert f'greenmine_stored_total{{site="{LOUD}"}} {8640.0 * devices}' in text
    assert f'greenmine_open_exceedances{{site="{LOUD}"}} 1.0' in text


def test_metrics_tell_how_far_the_platforms_are_behind(live: Served) -> None:
    assert "greenmine_uplink" not in live.client.get("/metrics").text
    outbox = UplinkOutbox(live.data / FILE)
    outbox.begin("authority", UplinkCursor(0, 0, 0))
    outbox.enlist("authority", [("2011", n, live.now - 90_000 + n) for n in range(3)], UplinkCursor(0, 1, 1), live.now)
    first = outbox.next("authority", live.now)
    assert first is not None
    outbox.settle("authority", first, live.now - 20_000, acknowledged=True)
    outbox.tell("authority", live.now + HOUR, connected=True, trouble="")  # however long the answer takes
    outbox.close()
    text = live.client.get("/metrics").text
    assert 'greenmine_follower_lag_seconds{follower="uplink/authority"} ' in text
    assert 'greenmine_follower_backlog{follower="uplink/authority"} ' in text
    lines = [line for line in text.splitlines() if line.startswith("greenmine_uplink")]
    found = {name: float(value) for name, value in (line.split('{feed="authority"} ') for line in lines)}
    assert found["greenmine_uplink_connected"] == found["greenmine_uplink_acknowledged_total"] == 1.0
    assert found["greenmine_uplink_backlog"] == 2.0
    assert found["greenmine_uplink_lag_seconds"] >= 89.0
    assert found["greenmine_uplink_acknowledgement_age_seconds"] >= 20.0


def test_latest_is_the_newest_valid_reading(live: Served) -> None:
    channel = next(channel for channel in live.registry.channels if channel.key == CHANNEL)
    add_reading(live.engine, channel, live.now + 1_000, 123.5)
    add_reading(live.engine, channel, live.now + 2_000, 50_000.0, quality=1)
    add_reading(live.engine, channel, live.now + 3_000, 7.0, flag="M")
    add_reading(live.engine, channel, live.now + 4_000, float("nan"))
    items = live.client.get("/api/v1/latest", params={"site": LOUD}).json()["items"]
    view = next(item for item in items if item["channel"] == CHANNEL)
    assert view["value"] == 123.5
    assert datetime.fromisoformat(view["time"]) == local(live.now + 1_000, "Asia/Shanghai")
    assert view["time"].endswith("+08:00")
    assert datetime.fromisoformat(view["last_time"]) == local(live.now + 4_000, "Asia/Shanghai")
    assert view["health"]["state"] == "good"


def test_latest_looks_back_for_a_valid_reading(live: Served) -> None:
    channel = next(channel for channel in live.registry.channels if channel.key == CHANNEL)
    add_reading(live.engine, channel, live.now + 20 * HOUR, 1.0, flag="D")
    items = live.client.get("/api/v1/latest", params={"site": LOUD}).json()["items"]
    view = next(item for item in items if item["channel"] == CHANNEL)
    assert view["last_flag"] == "D"
    assert view["flag"] == "N"
    assert datetime.fromisoformat(view["time"]) <= local(live.now, "Asia/Shanghai")


def test_the_figure_beside_a_limit_is_the_limits_own_statistic(served: Served) -> None:
    items = served.client.get("/api/v1/latest", params={"site": "jiuchi"}).json()["items"]
    pm10 = next(item for item in items if item["channel"] == "jiuchi/receptor/pm10")
    hours = served.client.get("/api/v1/statistics", params={"channel": "jiuchi/receptor/pm10"}).json()["items"]
    assert pm10["limit"]["window"] == "day"
    used = [hour for hour in hours if hour["start"] >= pm10["limit"]["since"]]
    mean = np.average([hour["mean"] for hour in used], weights=[hour["count"] for hour in used])
    assert len(used) >= 23
    assert pm10["limit"]["running"] == pytest.approx(mean, rel=1e-12)
    assert pm10["limit"]["share"] == pytest.approx(mean / pm10["limit"]["high"], rel=1e-12)
    assert pm10["limit"]["verdict"]["verdict"] == "meets"


def test_readings_of_a_period_are_those_stored(served: Served) -> None:
    start, end = served.now - 3 * HOUR, served.now - HOUR
    given = {
        "channel": CHANNEL,
        "from": local(start, "Asia/Shanghai").isoformat(),
        "to": local(end, "UTC").isoformat().replace("+00:00", "Z"),
    }
    items = served.client.get("/api/v1/readings", params=given).json()["items"]
    assert len(items) == 120
    assert [item["time"] for item in items] == sorted(item["time"] for item in items)
    assert {item["flag"] for item in items} == {"N"}


def test_a_plus_that_became_a_space_is_read_as_meant(served: Served) -> None:
    begin = local(served.now - HOUR, "Asia/Shanghai").isoformat()
    answer = served.client.get(f"/api/v1/readings?channel={CHANNEL}&from={begin}")
    assert answer.status_code == 200
    assert len(answer.json()["items"]) in {60, 61}


def test_any_window_agrees_with_the_readings(served: Served) -> None:
    channel = f"{LOUD}/boundary/laeq"
    given = {"channel": channel, "window": "15min", "every": "5min"}
    items = served.client.get("/api/v1/statistics", params=given).json()["items"]
    middle = items[len(items) // 2]
    assert datetime.fromisoformat(middle["end"]).minute % 5 == 0
    period = {"channel": channel, "from": middle["start"], "to": middle["end"]}
    levels = np.array([item["value"] for item in served.client.get("/api/v1/readings", params=period).json()["items"]])
    assert len(levels) == middle["count"] == 15
    assert middle["mean"] == pytest.approx(10 * np.log10(np.mean(10 ** (levels / 10))), rel=1e-9)
    assert middle["l10"] == pytest.approx(np.percentile(levels, 90), abs=0.1)


def test_revisions_are_shown_when_asked_for(live: Served) -> None:
    channel = next(channel for channel in live.registry.channels if channel.key == CHANNEL)
    c = schema.statistic.c
    with live.engine.begin() as connection:
        first = connection.execute(
            schema.statistic.select().where(c.channel == number_of(channel)).order_by(c.start).limit(1)
        ).one()
        connection.execute(
            update(schema.statistic)
            .where(c.channel == first.channel, c.window == "hour", c.start == first.start)
            .values(latest=False)
        )
        changed = {**first._mapping, "revision": 1, "latest": True, "mean": 5.0, "reason": "late readings"}
        connection.execute(insert(schema.statistic).values(**changed))
    latest = live.client.get("/api/v1/statistics", params={"channel": CHANNEL}).json()["items"]
    every = live.client.get("/api/v1/statistics", params={"channel": CHANNEL, "revisions": "all"}).json()["items"]
    assert (latest[0]["revision"], latest[0]["mean"]) == (1, 5.0)
    assert [item["revision"] for item in every[:3]] == [0, 1, 0]
    assert len(every) == len(latest) + 1


def since(served: Served, minutes: int) -> range:
    """What so many minutes at the time of the filling may have become."""
    return range(minutes, minutes + (time.time_ns() // 1_000_000 - served.now) // 60_000 + 2)


def test_exceedances_tell_what_was_exceeded(served: Served) -> None:
    items = served.client.get("/api/v1/exceedances", params={"site": LOUD, "state": "open"}).json()["items"]
    (item,) = items
    limit = served.registry.limits[item["limit"]]
    assert item["end"] is None
    assert item["duration"] in since(served, 95)
    assert (item["name_zh"], item["name_en"], item["unit"]) == (limit.name_zh, limit.name_en, limit.unit)
    assert item["clause"] == limit.thresholds[-1].clause
    assert item["start"].endswith("+08:00")


def test_rolling_exceedance_statistics_cover_three_spans(served: Served) -> None:
    items = served.client.get("/api/v1/exceedance-statistics", params={"site": LOUD}).json()["items"]
    rule = [item for item in items if item["rule"].endswith("gb29620-boundary-tsp")]
    assert [item["span"] for item in rule] == ["24h", "7d", "30d"]
    assert rule[0]["episodes"] == 2
    assert rule[2]["episodes"] == 4
    assert rule[0]["minutes_above"] == 10
    assert rule[0]["longest_minutes"] in since(served, 95)


def test_the_ledger_is_filtered_by_days(served: Served) -> None:
    today = f"{local(served.now, 'Asia/Shanghai'):%Y-%m-%d}"
    given = {"site": LOUD, "from": today, "to": today}
    items = served.client.get("/api/v1/ledger", params=given).json()["items"]
    assert {(item["site"], item["day"]) for item in items} == {(LOUD, today)}
    assert all(
        item["received"] == item["stored"] + item["duplicate"] + item["rejected"] + item["late"] for item in items
    )
    assert served.client.get("/api/v1/ledger", params={"to": "2020-01-01"}).json()["items"] == []


@pytest.mark.parametrize(
    "path",
    ["/api/v1/exceedances", "/api/v1/verdicts", f"/api/v1/readings?channel={CHANNEL}", "/api/v1/ledger"],
)
def test_without_a_record_lists_are_empty(bare: httpx.Client, path: str) -> None:
    answer = bare.get(path)
    assert answer.status_code == 200
    assert answer.json() == {"items": [], "next": None}


def test_without_a_record_every_channel_is_there_without_a_value(bare: httpx.Client, registry: Registry) -> None:
    items = bare.get("/api/v1/latest").json()["items"]
    assert [item["channel"] for item in items] == [channel.key for channel in registry.channels]
    assert {item["value"] for item in items} == {None}


def test_statistics_of_a_parameter_are_those_of_all_its_stations_in_turn(served: Served) -> None:
    channels = [c.key for c in served.registry.site_channels(LOUD) if c.parameter.id == "pm10"]
    assert len(channels) > 1
    alone = [
        item
        for key in channels
        for item in served.client.get("/api/v1/statistics", params={"channel": key}).raise_for_status().json()["items"]
    ]
    together: list[Any] = []
    given: dict[str, str] = {"site": LOUD, "parameter": "pm10", "size": f"{len(alone) // len(channels)}"}
    while True:
        answer = served.client.get("/api/v1/statistics", params=given).raise_for_status().json()
        together += answer["items"]
        if answer["next"] is None:
            break
        given["cursor"] = answer["next"]
    assert together == alone
    for wrong, status in (({"site": LOUD}, 400), ({"site": LOUD, "parameter": "ph"}, 404), ({}, 400)):
        assert served.client.get("/api/v1/statistics", params=wrong).status_code == status
    odd = {"site": LOUD, "parameter": "pm10", "window": "15min"}
    assert served.client.get("/api/v1/statistics", params=odd).status_code == 400
