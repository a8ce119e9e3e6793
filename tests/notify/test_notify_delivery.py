"""From a change of the record to receivers outside: webhooks, e-mail, robots, the broker."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiosmtpd.smtp import AuthResult

from greenmine.collector.mqtt.broker import Broker
from greenmine.collector.mqtt.session import Session
from greenmine.notify.event import EVENTS, Event
from greenmine.notify.quiet import QuietHours
from greenmine.notify.store import Notices
from greenmine.notify.subscriptions import Subscription
from greenmine.notify.targets import DingTalk, Mail, Mqtt, Target, Webhook, WeCom
from greenmine.simulators.messages import Message as SimulatedMessage
from greenmine.simulators.publish import connection, publish
from tests.notify.conftest import PLACES, needed
from tests.notify.notify_site import (
    HOUR,
    START,
    Mailbox,
    MailServer,
    Mine,
    Receiver,
    notifying,
    now,
    receiving,
    settings_of,
    until,
)
from tests.simulators.broker_ear import listening

DOCS = Path(__file__).parents[2] / "docs" / "notifications.md"
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
ALL = {"events": EVENTS, "author": "li", "language": "en"}


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Mine]:
    mine = Mine(tmp_path)
    yield mine
    mine.engine.dispose()


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[Notices]:
    notices = Notices(settings_of(tmp_path))
    yield notices
    notices.close()


def subscribe(notices: Notices, target: Target, enterprise: str | None = "hengjie", **more: Any) -> Subscription:
    return notices.subscriptions.add(enterprise, "test", target, now(), **(ALL | more))


def kinds(receiver: Receiver) -> list[str]:
    return [call.json["type"] for call in receiver.calls]


def test_a_webhook_is_told_of_everything_of_its_own_signed(tmp_path: Path, mine: Mine, notices: Notices) -> None:
    old = mine.begin("jiuchi", start=START - HOUR)
    with receiving() as own, receiving() as district, receiving() as few, notifying(settings_of(tmp_path)):
        subscribe(notices, Webhook(own.url, SECRET), "jiuchi")
        subscribe(notices, Webhook(district.url), None)
        subscribe(notices, Webhook(few.url), "jiuchi", events=["warning-opened"])
        number = mine.begin("jiuchi")
        mine.begin("hengjie")
        mine.begin("jiuchi", "warning", peak=None)
        until(lambda: len(own.calls) == 2, "the beginnings")
        mine.change(number, minutes=30, peak=2000.0)
        mine.change(number, end=START + HOUR, state="closed", minutes=40)
        until(lambda: len(own.calls) == 3, "the end")
        mine.change(number, minutes=41, revision=1)
        mine.change(old, acknowledged=START)
        mine.health({"jiuchi/boundary/tsp": "silent", "jiuchi/boundary/pm10": "silent"})
        until(lambda: len(own.calls) == 5, "restatement and silence")
        mine.health({"jiuchi/boundary/tsp": "good"}, START + HOUR)
        mine.capture("jiuchi/boundary/tsp", 0.8999)
        mine.capture("jiuchi/boundary/pm10", 0.9)
        until(lambda: len(own.calls) == 7, "return and capture")
        mine.capture("jiuchi/boundary/tsp", 0.85, revision=1)
        mine.begin("hengjie", start=START + HOUR)  # whatever else would be told would be told before this
        until(lambda: len(district.calls) == 9, "all of the district")
    assert kinds(own) == [
        "greenmine.exceedance.opened", "greenmine.warning.opened", "greenmine.exceedance.closed",
        "greenmine.exceedance.restated", "greenmine.station.silent", "greenmine.station.back", "greenmine.capture.low",
    ]  # fmt: skip
    assert kinds(few) == ["greenmine.warning.opened"]
    assert {call.json["data"]["site"] for call in own.calls} == {"jiuchi"}
    assert sorted(kinds(district)) == sorted([*kinds(own), *["greenmine.exceedance.opened"] * 2])

    call = own.calls[0]
    assert call.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    identifier, stamp = call.headers["webhook-id"], call.headers["webhook-timestamp"]
    assert abs(int(stamp) - time.time()) < 60
    digest = hmac.new(b"k" * 32, f"{identifier}.{stamp}.".encode() + call.body, hashlib.sha256).digest()
    assert call.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    documented: dict[str, Any] = {}
    exec(re.findall(r"^```python\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)[0], documented)
    assert documented["valid"](SECRET, call.headers, call.body)
    assert not documented["valid"](SECRET, call.headers, call.body + b" ")
    told = call.json
    assert (told["specversion"], told["id"], told["subject"]) == ("1.0", identifier, f"exceedance/{number}")
    assert told["source"] == "https://mines.example.org/sites/jiuchi"
    assert told["time"] == "2026-11-21T14:00:00.000Z"
    data = told["data"]
    assert (data["peak"], data["threshold"], data["start"]) == (1234.5, 1000.0, "2026-11-21T22:00:00+08:00")
    assert data["href"] == f"https://mines.example.org/exceedances/{number}"
    assert "highest 1234 μg/m³" in data["text"]
    assert len({call.headers["webhook-id"] for call in own.calls}) == 7
    silent, low = own.calls[4].json["data"], own.calls[6].json["data"]
    assert [channel["parameter"] for channel in silent["channels"]] == ["tsp", "pm10"]
    assert low["channels"] == [{"parameter": "tsp", "capture": 0.8999}]
    assert "89.9 %, 90 % required" in low["text"]


def test_a_receiver_in_trouble_keeps_nobody_else_waiting_and_is_tried_again(
    tmp_path: Path, mine: Mine, notices: Notices
) -> None:
    answers: Iterator[int] = chain([500, 429], repeat(200))
    hung = time.monotonic() + 3

    def hang(_: object) -> tuple[int, dict[str, str], bytes]:
        time.sleep(max(0.0, hung - time.monotonic()))
        return 200, {}, b""

    picky = lambda call: (400 if call.json["type"].endswith("opened") else 204, {}, b"")  # noqa: E731
    away = lambda _: (302, {"Location": good.url}, b"")  # noqa: E731
    with (
        receiving() as good, receiving(hang) as slow, receiving(lambda _: (next(answers), {}, b"")) as flaky,
        receiving(picky) as choosy, receiving(lambda _: (410, {}, b"")) as gone, receiving(away) as elsewhere,
    ):  # fmt: skip
        dead = Receiver()
        dead.close()
        with notifying(settings_of(tmp_path, notify_give_up_hours=1 / 1800)):
            found = [
                subscribe(notices, Webhook(receiver.url))
                for receiver in (slow, dead, flaky, choosy, gone, elsewhere, good)
            ]
            number = mine.begin("hengjie")
            until(lambda: len(good.calls) == 1, "the one that works")
            assert time.monotonic() < hung, "the slow one kept it waiting"
            mine.change(number, end=START + HOUR, state="closed")
            until(lambda: len(good.calls) == 2, "the one that works")
            until(lambda: any(call.json["type"].endswith("closed") for call in choosy.calls), "what is not refused")
            until(lambda: len(flaky.calls) > 2, "a third attempt")

            def states(place: int) -> list[str]:
                return [message.state for message in notices.outbox.messages(found[place], 10)]

            until(lambda: "dead" in states(1) and "dead" in states(3) and "sent" in states(0), "giving up")
            until(lambda: states(4) == ["dead", "dead"], "those who are gone")
            loads = notices.outbox.loads()
            troubles = [notices.subscriptions.get(subscription.id).trouble for subscription in found]  # type: ignore[union-attr]
    assert len({call.headers["webhook-id"] for call in flaky.calls[:3]}) == 1
    assert len({call.headers["webhook-id"] for call in flaky.calls}) == len(flaky.calls) - 2
    stamps = [call.headers["webhook-signature"] for call in choosy.calls if call.json["type"].endswith("opened")]
    assert len(stamps) > 1
    assert len(good.calls) == 2
    assert troubles[1] == "nobody answers there"
    assert troubles[5] == "HTTP 302: redirects are not followed"
    assert [load.enterprise for load in loads] == ["hengjie"]
    assert loads[0].dead >= 4


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001"])
def test_no_webhook_leads_into_the_own_network(tmp_path: Path, mine: Mine, notices: Notices, host: str) -> None:
    with receiving() as inside, notifying(settings_of(tmp_path, notify_private_networks="10.0.0.0/8")):
        found = subscribe(notices, Webhook(f"http://{host}:{inside.port}/"))
        notices.outbox.test(found, mine.registry, now())
        until(lambda: notices.outbox.messages(found, 1) and notices.outbox.messages(found, 1)[0].attempts, "an attempt")
        assert notices.outbox.messages(found, 1)[0].trouble == "the name stands for no public address"
    assert inside.calls == []


def test_what_fell_into_quiet_hours_is_one_digest_afterwards(
    tmp_path: Path, mine: Mine, notices: Notices, authority: tuple[Path, ssl.SSLContext]
) -> None:
    """By mail over STARTTLS with a password, and as one event to a webhook."""
    box = Mailbox()
    check = lambda *args: AuthResult(success=args[-1].password == b"word")  # noqa: E731
    server = MailServer(
        box, hostname="127.0.0.1", port=0, tls_context=authority[1], authenticator=check, auth_required=True, auth_require_tls=True
    )  # fmt: skip
    server.start()
    quiet = QuietHours("22:00", "07:00")
    mail = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_user": "mines"}
    mail |= {"smtp_password": "word", "smtp_from": "Mines <mines@example.org>", "notify_ca": authority[0]}
    readers = subscribe(notices, Mail(["li@example.org", "gone@example.org"]), quiet=quiet)
    try:
        with receiving() as program:
            reading = subscribe(notices, Webhook(program.url), quiet=quiet)
            # Enlisted at ten in the evening by the mine's clock; now it is later than seven.
            outbox, registry = notices.outbox, mine.registry
            from greenmine.notify.events import Follower  # noqa: PLC0415

            follower = Follower(registry, mine.engine, 0.9)
            outbox.begin(*follower.states())
            number = mine.begin("hengjie")
            mine.change(number, end=START + HOUR, state="closed")
            mine.health({"hengjie/boundary/tsp": "silent"})
            before = outbox.serial()
            assert before is not None
            news = follower.look(before, outbox.notified_states)
            some = notices.subscriptions.all()
            assert outbox.enlist(news.serial, news.states, news.events, some, registry, START) == 6
            morning = START + 9 * HOUR
            assert outbox.due(morning - 1) == set()
            assert (outbox.waiting()[readers.id].waiting, outbox.waiting()[readers.id].held) == (3, 3)
            assert outbox.due(morning) == {readers.id, reading.id}
            with notifying(settings_of(tmp_path, notify_give_up_hours=1e6, **mail)):
                until(lambda: program.calls and box.mails, "the digests")
                until(lambda: notices.subscriptions.get(readers.id).sent, "the note of it")  # type: ignore[union-attr]
                shown = outbox.messages(readers, 5)
                outbox.test(readers, registry, now())
                until(lambda: len(box.mails) == 2, "a test, at any time of the day")
    finally:
        server.stop()
    (recipients, told), *rest = box.mails
    assert [mail["subject"] for _, mail in rest] == ["[Test] Hengjie Building Materials"]
    assert recipients == ["li@example.org"]
    assert shown[0].trouble == "not taken for gone@example.org"
    assert told["subject"] == "3 notices, the first: [Exceedance] Hengjie Building Materials"
    assert told["message-id"] == f"<{shown[0].id}@example.org>"
    text = told.get_content()
    assert text.index("[Exceedance] ") < text.index("[Exceedance ended] ") < text.index("[Station silent] ")
    assert f"https://mines.example.org/exceedances/{number}" in text
    assert len(program.calls) == 1
    digest = program.calls[0].json
    assert digest["type"] == "greenmine.digest"
    assert [part["type"] for part in digest["data"]["events"]] == [
        "greenmine.exceedance.opened",
        "greenmine.exceedance.closed",
        "greenmine.station.silent",
    ]


def test_a_fault_with_one_message_does_not_hold_up_the_next(tmp_path: Path, mine: Mine, notices: Notices) -> None:
    with receiving() as own:
        found = subscribe(notices, Webhook(own.url))
        unforeseen = Event("exceedance-opened", "hengjie", "exceedance/1", START, "x/y", newest=True, data={})
        notices.outbox.enlist(0, {}, [unforeseen], [found], mine.registry, now())
        notices.outbox.test(found, mine.registry, now())
        with notifying(settings_of(tmp_path)):
            until(lambda: own.calls, "the next")
        first = notices.outbox.messages(found, 2)[1]
    assert kinds(own) == ["greenmine.test"]
    assert (first.state, first.trouble) == ("waiting", "a fault of the notifier; its log says which")


def test_robots_are_told_in_groups_and_never_too_often(tmp_path: Path, mine: Mine, notices: Notices) -> None:
    ding = DingTalk("token-of-the-robot", "SECsecretofrobot")
    com = WeCom("key-of-the-robot")
    with receiving() as robot:
        base = {
            "notify_dingtalk_url": f"http://127.0.0.1:{robot.port}/ding",
            "notify_wecom_url": f"http://127.0.0.1:{robot.port}/com",
        }
        subscribe(notices, ding, language="zh")
        subscribe(notices, com, events=["exceedance-opened"])
        with notifying(settings_of(tmp_path, notify_private_networks="", **base)):
            first = mine.begin("hengjie")
            until(lambda: len(robot.calls) == 2, "the first")
            for site_hour in range(30):
                mine.begin("hengjie", start=START + (2 + site_hour) * HOUR)
            mine.change(first, end=START + HOUR, state="closed")
            until(lambda: len(robot.calls) == 4, "all others")
    by_path: dict[str, list[Any]] = {"/ding": [], "/com": []}
    for call in robot.calls:
        by_path[urlsplit(call.path).path].append(call)
    one, two = by_path["/ding"]
    assert two.time - one.time > 3
    query = parse_qs(urlsplit(two.path).query)
    digest = hmac.new(ding.secret.encode(), f"{query['timestamp'][0]}\n{ding.secret}".encode(), hashlib.sha256).digest()
    assert query["sign"] == [base64.b64encode(digest).decode()]
    assert query["access_token"] == [ding.token]
    assert one.json["msgtype"] == "text"
    assert one.json["text"]["content"].startswith("【超标】")
    assert two.json["text"]["content"].startswith("31 条通知：")
    assert parse_qs(urlsplit(by_path["/com"][0].path).query) == {"key": [com.key]}
    assert len(by_path["/com"][1].json["text"]["content"].encode()) <= 2_048


def test_the_broker_keeps_the_newest_state_of_each_limit(
    tmp_path: Path, mine: Mine, notices: Notices, mosquitto: Broker
) -> None:
    rule = mine.rule("hengjie")
    topic = f"greenmine/alarms/v1/enterprise/hengjie/hengjie/{rule.station}/{rule.key.split('/')[2]}"
    subscribe(notices, Mqtt())
    with pytest.raises(ValueError, match="quiet"):
        subscribe(notices, Mqtt(), quiet=QuietHours("22:00", "07:00"))
    with notifying(settings_of(tmp_path, broker_port=mosquitto.port)), listening(mosquitto.port, "greenmine/#") as ear:
        old = mine.begin("hengjie", start=START - HOUR)
        new = mine.begin("hengjie")
        until(lambda: len(ear.heard) == 2, "both")
        mine.change(old, revision=1, minutes=3)
        until(lambda: len(ear.heard) == 3, "the old one")
        with listening(mosquitto.port, "greenmine/alarms/#") as late:
            until(lambda: late.heard, "what is kept")
            kept = late.heard
    assert {heard[0] for heard in ear.heard} == {topic}
    assert [json.loads(payload)["subject"] for payload in ear.payloads()] == [
        f"exceedance/{old}", f"exceedance/{new}", f"exceedance/{old}",
    ]  # fmt: skip
    assert [(json.loads(payload)["subject"], retained) for _, payload, retained in kept] == [
        (f"exceedance/{new}", True)
    ]


def test_collector_notifier_and_simulator_show_the_broker_their_certificate(
    tmp_path: Path, mine: Mine, notices: Notices, authority: tuple[Path, ssl.SSLContext]
) -> None:
    needed("mosquitto")
    certificate, key = authority[0], authority[0].with_name("key")
    listener = f"cafile {certificate}\ncertfile {certificate}\nkeyfile {key}\nrequire_certificate true\n"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text(f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n{listener}", "utf-8")
    shown = {"broker_certificate": certificate, "broker_key": key}
    settings = settings_of(tmp_path, broker_port=port, broker_tls=True, broker_ca=certificate, **shown)
    heard: list[str] = []
    stop = threading.Event()
    session = Session(settings, lambda batch: heard.extend(message.topic for message in batch), stop)
    collector = threading.Thread(target=session.run)
    subscription = subscribe(notices, Mqtt())
    with subprocess.Popen([shutil.which("mosquitto", path=PLACES) or "", "-c", configuration]) as broker:
        try:
            collector.start()
            until(lambda: session.counters.connected, "the collector")
            host, reached, how = connection(settings)
            message = SimulatedMessage(topic="greenmine/v1/hengjie/some/readings", payload=b"{}", time_sent=0)
            assert publish([message], host, reached, speed="max", **how).messages == 1
            until(lambda: heard, "the simulator's message")
            with notifying(settings):
                mine.begin("hengjie")
                until(lambda: [m.state for m in notices.outbox.messages(subscription, 9)] == ["sent"], "the notice")
        finally:
            stop.set()
            collector.join()
            broker.terminate()


def test_a_record_put_in_place_of_another_does_not_tell_its_past(tmp_path: Path, mine: Mine, notices: Notices) -> None:
    notices.outbox.begin(1_000_000, {})
    mine.begin("hengjie")
    with receiving() as own:
        subscribe(notices, Webhook(own.url))
        with notifying(settings_of(tmp_path)):
            until(lambda: (notices.outbox.serial() or 0) < 1_000_000, "the new record")
            mine.begin("hengjie", start=START + HOUR)
            until(lambda: own.calls, "what is new")
    assert [call.json["data"]["start"] for call in own.calls] == ["2026-11-21T23:00:00+08:00"]
