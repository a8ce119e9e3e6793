from __future__ import annotations

import re
from datetime import datetime
from html import unescape
from zoneinfo import ZoneInfo

import httpx
import msgspec
import pytest
from sqlalchemy import Engine, delete, insert, select, update

from greenmine.collector.payloads.reasons import Reason
from greenmine.processing.rolling import SPANS
from greenmine.record import schema
from greenmine.registry import Channel, Registry
from greenmine.times import HOUR, MINUTE, local
from greenmine.wording.messages import LANGUAGES, Language, texts
from tests.api.conftest import Served
from tests.api.filling import LOUD, number_of

MINE = f"/sites/{LOUD}"
FUGITIVE = "Total suspended particles at the boundary of brick and tile works"
ZONE = "Asia/Shanghai"


def page(client: httpx.Client, path: str = MINE, language: Language = "en") -> str:
    answer = client.get(path, params={"lang": language})
    assert answer.status_code == 200
    return answer.text


def words(html: str) -> str:
    """What is read of a piece of a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def part(html: str, name: str) -> str:
    """A part of a page, from its id to the next part."""
    return re.split(r'id="part-', html.split(f'id="part-{name}"', 1)[1])[0]


def rolling_row(html: str, span: str, name: str) -> str:
    body = re.search(rf'<tbody data-span="{span}">(.*?)</tbody>', html, re.DOTALL)
    assert body is not None
    (row,) = [row for row in re.findall(r"<tr>.*?</tr>", body[1], re.DOTALL) if name in unescape(row)]
    return words(row)


def channel_of(served: Served, key: str) -> Channel:
    return next(channel for channel in served.registry.channels if channel.key == key)


def set_health(engine: Engine, channel: Channel, state: str, since: int, detail: str) -> None:
    with engine.begin() as connection:
        connection.execute(
            insert(schema.health).values(channel=number_of(channel), state=state, since=since, detail=detail)
        )


@pytest.mark.parametrize("span", SPANS)
def test_rolling_statistics_are_those_of_the_api(served: Served, span: str) -> None:
    items = served.client.get("/api/v1/exceedance-statistics", params={"site": LOUD}).json()["items"]
    (item,) = [i for i in items if i["rule"].endswith("gb29620-boundary-tsp") and i["span"] == span]
    row = rolling_row(page(served.client), span, FUGITIVE)
    assert item["episodes"] > 1
    assert row.startswith(f"Boundary · TSP 1 h indicative {FUGITIVE} {item['episodes']} {item['minutes_above']} min")
    assert f"{item['worst']:#.3g} μg/m³ ≤ 1000 {100 * item['capture']:.1f} %" in row


def test_every_legal_limit_in_force_has_its_statistics_and_no_target(served: Served) -> None:
    html = page(served.client, "/sites/jiuchi")
    legal = [rule for rule in served.registry.rules if rule.site == "jiuchi" and rule.limit.kind == "legal"]
    bodies = re.findall(r"<tbody data-span=.*?</tbody>", html, re.DOTALL)
    assert len(bodies) == len(SPANS)
    assert [body.count("<tr>") for body in bodies] == [len(legal)] * len(SPANS)
    assert texts("greenmine.api", "en")["limit.target"] not in "".join(bodies)


def test_what_was_never_assessable_is_a_dash_and_no_zero(live: Served) -> None:
    rule = next(rule for rule in live.registry.rules if rule.key == f"{LOUD}/boundary/gb29620-boundary-tsp")
    with live.engine.begin() as connection:
        connection.execute(delete(schema.exceedance).where(schema.exceedance.c.rule == rule.key))
        connection.execute(
            update(schema.sliding_hour)
            .where(schema.sliding_hour.c.rule == rule.key)
            .values(assessable=0, above=0, worst=None)
        )
    assert rolling_row(page(live.client), "7d", FUGITIVE).endswith("— — — — — ≤ 1000 0 %")


def test_the_overview_sums_up_seven_days_of_a_mine(served: Served) -> None:
    html = page(served.client, "/")
    assert "Episodes in 7 days: 9, time above a limit: 0.7 %" in words(part(html, LOUD))
    assert "Episodes in 7 days: 0, time above a limit: 0 %" in words(part(html, "jiuchi"))


@pytest.mark.parametrize(
    ("state", "detail", "english", "chinese"),
    [
        ("silent", "no valid reading", "silent since {since} no valid reading", "离线 {since} 起 无有效读数"),
        (
            "frozen",
            "the value does not move",
            "frozen since {since} the value does not move",
            "恒值 {since} 起 数值不变",
        ),
        ("skewed", "312 s ahead", "clock skewed since {since} clock 312 s ahead", "时钟偏差 {since} 起 时钟快 312 秒"),
        (
            "skewed",
            "600 s behind",
            "clock skewed since {since} clock 600 s behind",
            "时钟偏差 {since} 起 时钟慢 600 秒",
        ),
        ("implausible", "1.5e+03 times what is usual", "1.5e+03 times what is usual", "为平日的 1.5e+03 倍"),
        ("implausible", "out of the plausible range", "since {since} out of the plausible range", "超出合理范围"),
        ("silent", "something new", "silent since {since} something new", "离线 {since} 起 something new"),
    ],
)
def test_a_faulty_channel_says_since_when_and_why(
    live: Served, state: str, detail: str, english: str, chinese: str
) -> None:
    since = live.now - 40 * MINUTE
    set_health(live.engine, channel_of(live, f"{LOUD}/weather/humidity"), state, since, detail)
    told = f"{local(since, ZONE):%m-%d %H:%M}"
    assert english.format(since=told) in words(part(page(live.client), "stations"))
    assert chinese.format(since=told) in words(part(page(live.client, language="zh"), "stations"))
    overview = page(live.client, "/")
    assert "Channels with a fault 1 of 117" in words(part(overview, "summary"))
    assert "1 with a fault" in words(part(overview, LOUD))
    assert f"Weather station Relative humidity {texts('greenmine.api', 'en')[f'health.{state}']}" in words(
        part(overview, LOUD)
    )


def test_a_good_channel_says_since_when(served: Served) -> None:
    assert "● good since " in words(part(page(served.client), "stations"))


def test_a_channel_that_never_had_data_is_not_called_good(bare: httpx.Client, registry: Registry) -> None:
    stations = words(part(page(bare), "stations"))
    assert stations.count("○ no data yet") == len(registry.site_channels(LOUD))
    assert "good" not in stations
    assert "channels good" not in page(bare, "/")


@pytest.mark.parametrize(("language", "named"), [("en", "Mechanical mining"), ("zh", "机械式开采")])
def test_requirements_are_named_in_the_language_of_the_page(served: Served, language: Language, named: str) -> None:
    assert f">{named}</li>" in page(served.client, language=language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_of_a_rejection_has_words(language: Language) -> None:
    shared = texts("greenmine.wording", language)
    assert [reason for reason in Reason if shared.get(f"rejection.{reason}", reason) == reason] == []


def test_the_ledger_adds_up_for_every_device_and_names_the_silent(live: Served) -> None:
    silent, odd = live.registry.site(LOUD).devices[:2]
    c = schema.ledger.c
    with live.engine.begin() as connection:
        connection.execute(delete(schema.ledger).where(c.site == LOUD, c.device == silent.id))
        connection.execute(
            update(schema.ledger).where(c.site == LOUD, c.device == odd.id).values(received=8653, conflict=5)
        )
        rows = connection.execute(select(c.received, c.stored).where(c.site == LOUD)).all()
    ledger = words(part(page(live.client), "ledger"))
    assert f"{silent.id} no reading received today" in ledger
    assert f"{odd.id} 8,653 8,640 8 5 3 1 2 ▲ does not add up" in ledger
    assert ledger.count("8,652 8,640 8 0 3 1 2 ✓ adds up") == len(rows) - 1
    assert f"Total {sum(row.received for row in rows):,} {sum(row.stored for row in rows):,}" in ledger


def test_rejections_are_told_newest_first_and_escaped(live: Served) -> None:
    for reason, detail in ((Reason.UNIT, 'pm10: "<b>mg/m3</b>"'), ("brand-new", "x")):
        with live.engine.begin() as connection:
            values = {"site": LOUD, "device": "weather", "topic": "t", "size": 1, "payload": b"", "readings": 7}
            connection.execute(
                insert(schema.rejection).values(received=live.now, reason=reason, detail=detail, **values)
            )
    html = page(live.client, language="zh")
    told = words(part(html, "ledger"))
    assert told.index("brand-new 7 x") < told.index('单位与设备档案不符 7 pm10: "<b>mg/m3</b>"')
    assert "<b>mg/m3" not in html


def test_excluded_and_suspect_minutes_explain_an_hour(live: Served) -> None:
    channel = channel_of(live, f"{LOUD}/boundary/laeq")
    start = live.now // HOUR * HOUR - 3 * HOUR
    c = schema.statistic.c
    with live.engine.begin() as connection:
        connection.execute(
            update(schema.statistic)
            .where(c.channel == number_of(channel), c.window == "hour", c.start == start)
            .values(excluded=34, suspect=2, valid=False, mean=57.25)
        )
        connection.execute(
            delete(schema.statistic).where(c.channel == number_of(channel), c.window == "hour", c.start == start - HOUR)
        )
    html = page(live.client)
    assert "Boundary, last 24 h: 34 min excluded, 2 min suspect" in words(html)
    table = html.split('id="hourly-laeq"', 1)[1].split("</details>", 1)[0]
    hour, before = (local(time, ZONE).strftime("%m-%d %H:00–") for time in (start, start - HOUR))
    rows = [words(row) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)]
    assert len(rows) == 25
    assert [row for row in rows if row.startswith(hour) and "34 min excluded · 2 min suspect (57.2)" in row]
    assert [row for row in rows if row.startswith(before) and row.split()[2] == "—"]

    spec = live.client.get(f"{MINE}/charts/laeq", params={"lang": "en"}).json()
    (note,) = spec["datasets"]["notes"]
    assert note["note"] == "Boundary: 34 min excluded"
    assert note["time"] == local(start, ZONE).replace(tzinfo=None).isoformat()


@pytest.mark.parametrize(
    ("status", "age", "banners"),
    [
        ({"connected": True, "last_message": 1}, 0, []),
        ({"connected": False, "last_message": 1_795_312_800_000}, 0, ["lost its connection to the broker b:1883"]),
        ({"connected": False, "last_message": 1_795_312_800_000}, 0, ["the last message came at 11-22 10:00"]),
        ({"connected": False, "last_message": 0}, 0, ["has not reached the broker b:1883 yet"]),
        ({"connected": True, "behind": True, "queue": 120_400_000}, 0, ["120 MB of messages wait for it"]),
        ({"connected": True, "last_message": 1}, 120_000, ["has not been running since {stopped}"]),
        ({"connected": False, "last_message": 1}, 120_000, ["has not been running since {stopped}"]),
    ],
)
def test_both_pages_say_what_ails_the_collector(
    live: Served, status: dict[str, object], age: int, banners: list[str]
) -> None:
    text = msgspec.json.encode({"broker": "b:1883", **status}).decode()
    with live.engine.begin() as connection:
        connection.execute(update(schema.worker).values(updated=live.now - age, status=text))
    stopped = f"{local(live.now - age, ZONE):%m-%d %H:%M}"
    for path in ("/", MINE):
        shown = re.findall(r'<div class="banner" role="status">(.*?)</div>', page(live.client, path))
        assert len(shown) == len(banners)
        assert [banner for banner in banners if banner.format(stopped=stopped) not in "".join(shown)] == []


def test_channels_are_not_called_good_while_nobody_looks(live: Served) -> None:
    assert f"all {len(live.registry.site_channels(LOUD))} channels good" in page(live.client, "/")
    with live.engine.begin() as connection:
        connection.execute(update(schema.worker).values(updated=live.now - 120_000))
    html = page(live.client, "/")
    assert "channels good" not in html
    assert "states not updated since the collector stopped" in html


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_shows_the_place_of_a_word(served: Served, language: Language) -> None:
    for path in ("/", MINE):
        body = re.sub(r"<body[^>]*>", "", page(served.client, path, language))  # its data are templates for the script
        assert re.findall(r"\{[a-z]+\}", body) == []


def test_an_error_page_names_the_cause(served: Served) -> None:
    answer = served.client.get("/sites/nowhere", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "nowhere" in words(answer.text)
    answer = served.client.get("/", params={"lang": "fr"}, headers={"Accept": "text/html"})
    assert answer.status_code == 400
    assert "lang" in words(answer.text)


def test_a_station_shows_the_local_day_of_an_instant(served: Served) -> None:
    """Just before and just after midnight in Chongqing, as dashboards link to it."""
    station = f"{MINE}/stations/boundary"
    midnight = int(datetime(2026, 3, 2, tzinfo=ZoneInfo(ZONE)).timestamp() * 1000)
    for at, day in ((midnight - 1, "2026-03-01"), (midnight, "2026-03-02")):
        shown = re.findall(
            r'name="(?:from|to)"[^>]*value="([^"]+)"', served.client.get(station, params={"at": at}).text
        )
        assert shown == [day, day]
    assert served.client.get(station, params={"at": 10**18}).status_code == 400


def test_the_page_says_where_dust_comes_from_with_its_samples(served: Served) -> None:
    html = page(served.client)
    part = html.split('id="origin"', 1)[1].split("</section>", 1)[0]
    cells = re.findall(r'<th scope="row" class="quiet">Hours</th>(.*?)</tr>', part)
    channels = [c for c in served.registry.site_channels(LOUD) if c.parameter.theme == "dust"]
    assert 0 < len(cells) <= len(channels)
    for row in cells:
        counts = [int(re.sub("<[^>]+>", "", cell)) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
        assert len(counts) == 17
        assert 20 <= sum(counts) <= 24, "hours of the filled day, calm ones included"
    assert re.search(r"Fog cannon \w+ \(\d+°\)", part)


def test_the_air_quality_index_is_that_of_the_judged_means(served: Served) -> None:
    items = served.client.get("/api/v1/air-index", params={"site": LOUD}).json()["items"]
    day = {"from": items[0]["day"] + "T00:00:00+08:00", "to": items[0]["day"] + "T01:00:00+08:00", "site": LOUD}
    verdicts = served.client.get("/api/v1/verdicts", params=day | {"limit": "gb3095-pm10-day-class2"}).json()["items"]
    assert [round(v["value"]) for v in verdicts] == [items[0]["index"]["sub_indices"]["pm10"]["concentration"]]
    assert items[0]["standing"] == "indicative"
    assert "o3" in items[0]["index"]["missing"]
    assert items[0]["index"]["aqi"] is None, "nothing above 100, and four pollutants missing"
    part = page(served.client).split('id="air"', 1)[1].split("</section>", 1)[0]
    assert items[0]["day"] in part
    assert "NA" in part


def test_the_curve_of_an_exceedance_has_its_own_limit_only(served: Served) -> None:
    path = f"/sites/{LOUD}/stations/boundary/charts/laeq"
    names = [
        {step["series"] for step in served.client.get(path, params=query).json()["spec"]["datasets"]["limits"]}
        for query in ({"lang": "en"}, {"lang": "en", "limit": "gb12348-class2-night"})
    ]
    assert len(names[0]) == 2
    assert len(names[1]) == 1
    assert names[1] < names[0]


def test_the_curve_has_the_judged_figures_over_their_periods(served: Served) -> None:
    items = served.client.get("/api/v1/verdicts", params={"site": LOUD, "limit": "gb12348-class2-night"}).json()[
        "items"
    ]
    (night,) = [item for item in items if item["value"] is not None][-1:]
    query = {"lang": "en", "limit": "gb12348-class2-night", "from": night["start"][:16], "to": night["end"][:16]}
    answer = served.client.get(f"/sites/{LOUD}/stations/boundary/charts/laeq", params=query)
    judged = answer.json()["spec"]["datasets"]["judged"]
    assert [(step["time"][:16], step["end"][:16], step["value"]) for step in judged] == [
        (night["start"][:16], night["end"][:16], night["value"])
    ]
    assert judged[0]["series"].endswith(f": {night['judged']}")
