"""What waits at the broker: the district is told when it is much, and when it is no longer, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from greenmine.notify.queue_news import queue_news
from greenmine.notify.store import Notices
from greenmine.notify.targets import Webhook
from greenmine.record import schema
from greenmine.record.record import Record
from greenmine.record.rows import WorkerRow
from greenmine.record.status import WorkerStatus
from tests.notify.notify_site import Mine, Receiver, notifying, now, settings_of, until

CALM = WorkerStatus(
    started=0, connected=True, broker="broker:8883", messages=0, bytes=0, batches=0, connections=1, failures=0, retries=0,
    unacknowledged=0, last_message=0, commit_p50=None, commit_p99=None, registry="", queue=1_000_000,
)  # fmt: skip
FULL = msgspec.structs.replace(CALM, queue=123_400_000, behind=True)


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Mine]:
    made = Mine(tmp_path)
    yield made
    made.engine.dispose()


def say(mine: Mine, status: WorkerStatus, when: int) -> None:
    record = Record(mine.engine, mine.registry)
    with record.transaction() as connection:
        row = WorkerRow(name="worker", updated=when, status=msgspec.json.encode(status).decode())
        record.upsert(connection, schema.worker, [row])


def test_a_filling_queue_is_told_once_each_way(mine: Mine) -> None:
    told: dict[str, str] = {}

    def notified(_: object) -> dict[str, str]:
        return told

    kinds = []
    for status in (CALM, CALM, FULL, FULL, CALM, CALM):
        say(mine, status, 100_000)
        events, states = queue_news(mine.engine, 100_000, notified)
        told.update(states)
        kinds.append([(event.kind, event.site, event.data["megabytes"]) for event in events])
    filling, eased = ("queue-filling", "district", 123), ("queue-eased", "district", 1)
    assert kinds == [[], [], [filling], [], [eased], []]


def test_a_worker_of_another_version_is_understood_as_far_as_it_goes(mine: Mine) -> None:
    record = Record(mine.engine, mine.registry)
    with record.transaction() as connection:
        record.upsert(connection, schema.worker, [WorkerRow(name="worker", updated=100_000, status='{"unheard": 1}')])
    assert queue_news(mine.engine, 100_000, lambda _: {}) == ([], {})


def test_what_a_worker_said_long_ago_says_nothing(mine: Mine) -> None:
    say(mine, FULL, 100_000)
    assert queue_news(mine.engine, 159_999, lambda _: {})[1] == {"queue": "queue-filling"}
    assert queue_news(mine.engine, 160_000, lambda _: {}) == ([], {})


def test_the_district_is_told_whatever_it_asked_for_and_no_enterprise_is(mine: Mine, tmp_path: Path) -> None:
    notices = Notices(settings_of(tmp_path))
    district, some, own = Receiver(), Receiver(), Receiver()
    asked = {"queue-filling", "station-silent"}
    for owner, receiver, events, sites in (
        (None, district, ["report-day"], None),
        (None, some, ["report-day"], ["kunyin"]),
        ("kunyin", own, sorted(asked), None),
    ):
        target = Webhook(receiver.url, "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        notices.subscriptions.add(
            owner, receiver.url, target, now(), events=events, author="li", language="zh", sites=sites
        )
    notices.outbox.begin(0, {})
    say(mine, FULL, now())
    try:
        with notifying(settings_of(tmp_path, notify_private_networks="127.0.0.0/8")):
            until(lambda: district.calls and some.calls, "two calls")
            mine.health({mine.registry.site_channels("kunyin")[0].key: "silent"})
            until(lambda: own.calls, "a call of the enterprise")
    finally:
        for receiver in (district, some, own):
            receiver.close()
        notices.close()
    assert [call.json["type"] for call in district.calls] == ["greenmine.queue.filling"]
    assert [call.json["type"] for call in some.calls] == ["greenmine.queue.filling"]
    assert [call.json["type"] for call in own.calls] == ["greenmine.station.silent"]
