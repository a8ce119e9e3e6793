"""Alarms: an open exceedance reaches everybody in Chinese, and an InfluxDB that is away alarms of itself only."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from greenmine.record import schema
from greenmine.record.record import open_engine
from tests.influxing import until
from tests.real.conftest import Installation, Provisioned
from tests.real.inboxes import Inboxes
from tests.real.servers import Grafana, InfluxDB, Program

KINDS = ("webhook", "wecom", "dingtalk", "email")
UNSEEN = "InfluxDB 无法查询"
LONGEST = 600.0
"""Evaluation every minute, two minutes' patience, and the waiting of Alertmanager's groups [s]."""
QUIET = 100.0
"""An evaluation, and the waiting of a new group [s]."""
AFTERWARDS = 200.0
"""Three evaluations [s]."""


@pytest.fixture(scope="module")
def episodes(installation: Installation) -> list[Any]:
    """The exceedances of legal limits that are open."""
    legal = [rule.key for rule in installation.registry.rules if rule.limit.kind == "legal"]
    table = schema.exceedance
    engine = open_engine(installation.settings.record_place, read_only=True)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(table).where(table.c.state == "open", table.c.rule.in_(legal))).all()
    engine.dispose()
    return list(rows)


@pytest.fixture(scope="module")
def episode(episodes: list[Any]) -> Any:
    """That of the dust that was raised."""
    (row,) = (row for row in episodes if row.rule == "kunyin/boundary/db50-418-fugitive")
    return row


def alarms(inboxes: Inboxes, kind: str) -> list[str]:
    """Messages about the mine whose dust was raised."""
    return [text for text in inboxes.texts(kind) if "高于法定限值" in text and "坤银" in text]


@pytest.mark.parametrize("kind", KINDS)
def test_an_open_exceedance_reaches_everybody_in_chinese(
    provisioned: Provisioned, inboxes: Inboxes, episode: Any, kind: str
) -> None:
    until(lambda: alarms(inboxes, kind), f"the alarm by {kind}", LONGEST)
    text = alarms(inboxes, kind)[0]
    start = datetime.fromtimestamp(episode.start / 1000, UTC) + timedelta(hours=8)
    for words in (
        "【报警】高于法定限值",
        "坤银",
        "厂界",
        "颗粒物",
        f"始于 {start:%Y-%m-%d %H:%M}",
        f"峰值 {episode.peak:.4g} μg/m³",
        "限值 1000 μg/m³",
        f"已高于限值 {episode.minutes} 分钟",
        "DB50/418-2016，无组织排放限值，其他颗粒物",
        f"https://mines.example.org/exceedances/{episode.id}",
        f"{provisioned.grafana.url}/d/greenmine-exceedances-zh",
    ):
        assert words in text
    assert not re.search(r"no value|\{\{|NaN|Datasource|clause|Table", text)


def settle(inboxes: Inboxes) -> None:
    """Wait until no further message comes of what was wrong already."""
    count, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET:
        now = sum(len(inboxes.texts(kind)) for kind in KINDS)
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(1)


def states(grafana: Grafana) -> dict[str, Any]:
    """State of our rules in the district's organisation; of exceedances with their alerts and since when they fire."""
    told = grafana.get("/api/prometheus/grafana/api/v1/rules", org=1)
    found = {rule["uid"]: rule for group in told["data"]["groups"] for rule in group["rules"]}
    alerts = [
        (alert["labels"]["episode"], alert["state"].partition(" ")[0], alert["activeAt"])
        for alert in found["greenmine-exceedance"].get("alerts", ())
        if alert["labels"].get("episode")
    ]
    return {
        "exceedances": sorted(alerts),
        "firing": sorted(uid for uid, rule in found.items() if rule["state"] == "firing"),
    }


def test_an_influxdb_that_is_killed_alarms_of_itself_only(
    provisioned: Provisioned, inboxes: Inboxes, influx: InfluxDB, episodes: list[Any]
) -> None:
    if not isinstance(influx, Program):
        pytest.skip("a server that runs elsewhere is not killed")
    for kind in KINDS:
        until(lambda kind=kind: alarms(inboxes, kind), f"the alarm by {kind}", LONGEST)
    settle(inboxes)
    before = states(provisioned.grafana)
    assert {number for number, *_ in before["exceedances"]} == {str(episode.id) for episode in episodes}
    seen: list[dict[str, Any]] = []

    def look(seconds: float = 5.0) -> None:
        time.sleep(seconds)
        seen.append(states(provisioned.grafana))

    told = {kind: len(inboxes.texts(kind)) for kind in KINDS}
    influx.kill()
    try:
        begun = time.monotonic()
        while not any(UNSEEN in text for text in inboxes.texts("webhook")):
            assert time.monotonic() - begun < LONGEST, seen[-1]
            look()
    finally:
        influx.start()
    until(lambda: "greenmine-unseen" not in states(provisioned.grafana)["firing"], "the rule's end", LONGEST)
    begun = time.monotonic()
    while time.monotonic() - begun < AFTERWARDS:
        look()
    assert [one for one in seen if one["exceedances"] != before["exceedances"]] == []
    for kind in KINDS:
        new = inboxes.texts(kind)[told[kind] :]
        assert [text for text in new if "读数无法查看" not in text] == [], kind
        assert not any(re.search(r"限值|Datasource|no value|\{\{", text) for text in new), kind
    assert {text.count("没有丢失") for text in inboxes.texts("webhook")[told["webhook"] :]} == {1}
    assert any("没有丢失" in text for text in inboxes.texts("email"))
