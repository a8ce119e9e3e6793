"""Quiet hours, addresses that may be called, targets, and how events become text."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from greenmine.loading import load_registry
from greenmine.notify.event import Event
from greenmine.notify.mail import check_mail
from greenmine.notify.network import may_be_called, networks
from greenmine.notify.outbox import Message
from greenmine.notify.quiet import QuietHours, quiet_until
from greenmine.notify.targets import Target, Webhook, shown, with_secret
from greenmine.notify.webhook import cloud_event
from greenmine.notify.wording import NoticeWords
from greenmine.settings import Settings


def instant(text: str, zone: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("quiet", "zone", "at", "ends"),
    [
        (("22:00", "07:00"), "Asia/Shanghai", "2026-11-21T21:59:59", None),
        (("22:00", "07:00"), "Asia/Shanghai", "2026-11-21T22:00", "2026-11-22T07:00"),
        (("22:00", "07:00"), "Asia/Shanghai", "2026-11-22T06:59:59", "2026-11-22T07:00"),
        (("22:00", "07:00"), "Asia/Shanghai", "2026-11-22T07:00", None),
        (("12:00", "14:00"), "Asia/Shanghai", "2026-11-21T13:00", "2026-11-21T14:00"),
        (("12:00", "14:00"), "Asia/Shanghai", "2026-11-21T11:00", None),
        (("00:00", "06:00"), "Asia/Shanghai", "2026-11-21T00:00", "2026-11-21T06:00"),
        # The clocks are put forward, and back, in the night.
        (("22:00", "07:00"), "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T07:00"),
        (("22:00", "07:00"), "Europe/Berlin", "2026-10-24T23:00", "2026-10-25T07:00"),
        (("01:00", "02:30"), "Europe/Berlin", "2026-03-29T01:30", "2026-03-29T03:30"),
    ],
)
def test_quiet_hours_are_those_of_the_sites_clock(quiet: tuple[str, str], zone: str, at: str, ends: str | None) -> None:
    expected = None if ends is None else instant(ends, zone)
    assert quiet_until(QuietHours(*quiet), instant(at, zone), zone) == expected


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        *(
            (address, False)
            for address in (
                "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
                "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%1", "fc00::1", "ff02::1",
                "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
                "64:ff9b:1::7f00:1", "64:ff9b:1:a00:1::",
                "::ffff:0:127.0.0.1", "::ffff:0:a9fe:a9fe", "100:0:0:1::1", "4000::1",
                "::127.0.0.1", "::10.0.0.1", "::169.254.169.254", "2001:db8::1", "192.0.0.8", "192.88.99.1", "3fff::1",
            )
        ),
    ],
)  # fmt: skip
def test_only_public_addresses_may_be_called(address: str, allowed: bool) -> None:
    assert may_be_called(address, ()) is allowed
    assert may_be_called(address, networks("10.0.0.0/8, fd00::/8")) is (
        allowed or address in {"10.1.2.3", "::ffff:10.0.0.1", "::10.0.0.1"}
    )


@pytest.mark.parametrize(
    "target",
    [
        {"kind": "webhook", "url": "ftp://a.b/"},
        {"kind": "webhook", "url": "https:///x"},
        {"kind": "webhook", "url": "https://u:p@a.b/"},
        {"kind": "webhook", "url": "https://a.b/\r\nX: y"},
        {"kind": "webhook", "url": "https://a.b:99999/"},
        {"kind": "webhook", "url": "https://a.b/", "secret": "whsec_c2hvcnQ="},
        {"kind": "webhook", "url": "https://a.b/", "secret": "x" * 40},
        {"kind": "mail", "to": []},
        {"kind": "mail", "to": ["a@b.cn\nBcc: c@d.cn"]},
        {"kind": "mail", "to": ["a@b.cn, c@d.cn"]},
        {"kind": "mail", "to": ["nobody"]},
        {"kind": "wecom", "key": "x&y=1/../"},
        {"kind": "dingtalk", "token": "abcdefghij"},
        {"kind": "pigeon"},
    ],
)
def test_a_target_that_cannot_be_right_is_refused(target: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(target, Target)


def test_secrets_are_made_and_not_shown() -> None:
    made = with_secret(Webhook("https://hooks.example.org:8443/T0123/secret?key=x"))
    assert isinstance(made, Webhook)
    assert made.secret.startswith("whsec_")
    assert with_secret(made) == made
    assert shown(made) == "https://hooks.example.org:8443/…"


@pytest.mark.parametrize(
    "given",
    [{"smtp_from": ""}, {"smtp_from": "a@b.cn", "smtp_tls": "none", "smtp_password": "x", "smtp_host": "mail.b.cn"}],
)
def test_a_mail_server_that_would_carry_a_password_in_the_clear_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="GREENMINE_SMTP"):
        check_mail(Settings(**({"smtp_host": "mail.b.cn"} | given)))  # type: ignore[arg-type]


DATA = {
    "addressee": "emission", "standing": "indicative",
    "station": "boundary", "limit": "db50-418-fugitive", "unit": "ug/m3", "threshold": 1000.0, "standard": "DB50/418-2016",
    "clause": "Table 1", "peak": 1234.5, "start": "2026-11-21T22:00:00+08:00", "end": None, "minutes_above": 7, "state": "open",
    "revision": 0, "href": "/exceedances/7",
}  # fmt: skip


def event(kind: str, **more: object) -> Event:
    return Event(kind, "hengjie", "exceedance/7", 0, "boundary/x", newest=True, data=DATA | more)  # type: ignore[arg-type]


def test_a_notice_tells_value_limit_clause_since_when_and_where_to_look() -> None:
    registry = load_registry()
    english = NoticeWords("en", registry, "https://mines.example.org")
    assert english.text([event("exceedance-opened")]) == (
        "[Exceedance] Hengjie Building Materials: Boundary, Fugitive other particulates, highest point of "
        "the perimeter (Chongqing): highest 1234 μg/m³, limit 1000 μg/m³ (DB50/418-2016 Table 1), since 2026-11-21 22:00. "
        "Conclusion: above, by an indicative method: to be confirmed by a reference measurement.\n"
        "https://mines.example.org/exceedances/7"
    )
    chinese = NoticeWords("zh", registry, "")
    assert chinese.line(event("warning-closed", addressee="own", end="2026-11-21T23:00:00+08:00")) == (
        "【预警结束】重庆市万州区恒杰建材有限公司：厂界监测点，无组织排放其他颗粒物 周界外浓度最高点（重庆）："
        "2026-11-21 22:00 至 2026-11-21 23:00，超过限值 1000 μg/m³（DB50/418-2016 Table 1）共 7 分钟，最高 1234 μg/m³。"
    )
    assert "withdrawn" in english.line(event("exceedance-restated", state="withdrawn"))
    assert "结论：超标。" in chinese.line(event("exceedance-opened", standing="statutory"))
    assert "周边环境质量：高于限值（参考方法测得" in chinese.line(event("exceedance-opened", addressee="quality"))


def test_a_text_for_a_robot_keeps_to_its_length_and_counts_what_is_left_out() -> None:
    wording = NoticeWords("zh", load_registry(), "https://mines.example.org")
    text = wording.text([event("exceedance-opened")] * 40, 2_048)
    assert len(text.encode()) <= 2_048
    told = text.count("【超标】")
    assert 0 < told < 40
    assert f"另有 {40 - told} 条" in text
    long = wording.text([event("exceedance-opened", station="点" * 2_000)], 2_048)
    assert len(long.encode()) <= 2_048


def test_a_notice_of_a_mine_that_has_left_the_registry_is_still_told() -> None:
    event = Event("exceedance-opened", "closed-mine", "exceedance/7", 0, "boundary/limit", newest=True, data=DATA)
    message = Message(
        "id", 1, digest=False, since=0, state="waiting", attempts=0, next=0, done=None, trouble="", events=(event,)
    )
    told = cloud_event(message, NoticeWords("en", load_registry(), "https://mines.example.org"))
    assert told["data"]["site"] == "closed-mine"
    assert told["data"]["enterprise"] is None
    assert "closed-mine" in told["data"]["text"]
