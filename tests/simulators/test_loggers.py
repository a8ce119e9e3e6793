from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from greenmine.cli import app
from greenmine.collector.hj212.compose import Sender, write_time
from greenmine.collector.hj212.document import describe
from greenmine.collector.hj212.frame import Framer
from greenmine.collector.hj212.link import Terms
from greenmine.collector.hj212.message import read_time
from greenmine.collector.hj212.secret import Secret
from greenmine.collector.hj212.sm4 import Sm4Key
from greenmine.simulators.clock import DAY_MS, MINUTE_MS
from greenmine.simulators.loggers.faults import WIRE_KINDS, FaultyLine, WireFault, WirePlans, WireTruth
from greenmine.simulators.loggers.fleet import Member, fleet, number, run, wire_truth
from greenmine.simulators.loggers.logger import Habits, SimulatedLogger
from greenmine.simulators.loggers.report import Reporter
from greenmine.simulators.loggers.sim_clock import SimClock
from greenmine.simulators.loggers.source import MineSource
from greenmine.simulators.mine import Mine
from tests.hj212_platform import PASSWORD, Platform

QUIET = Habits(calibrate=False)


def members_for(
    registry,
    platform,
    start,
    end,
    devices=("kunyin/boundary-dust",),
    faults=(),
    version=2017,
    habits=QUIET,
    clock=None,
    overtime=10.0,
    keys=(),
):
    members = []
    for key in devices:
        site, _, device = key.partition("/")
        source = MineSource(registry, Mine(registry, site, 1), registry.device(site, device))
        mn = number(site, device)
        planned = [WireFault(mn=mn, key=key, **fault) for fault in faults]
        at = lambda instant, planned=planned: next((f for f in planned if f.touches(instant)), None)  # noqa: E731
        logger = SimulatedLogger(
            Sender(mn, "39", Secret(PASSWORD), version),
            source,
            Reporter(source, "Asia/Shanghai", 6, 22),
            "127.0.0.1",
            platform.port,
            start,
            end,
            clock=clock,
            habits=habits,
            at=at,
            line=FaultyLine(at),
            terms=Terms(overtime, 3),
            keys=lambda: keys,
        )
        members.append(Member(key, mn, WirePlans(1, mn, key, source), logger))
    return members


def finish(registry, start, end, manner=None, **options):
    """The platform after the loggers have reported all, and their counts."""

    async def go():
        async with Platform(keys=options.get("keys", ())) as platform:
            if manner is not None:
                platform.manner = manner
            members = members_for(registry, platform, start, end, **options)
            async with asyncio.timeout(60):
                counts = await run(members)
            return platform, counts, members

    return asyncio.run(go())


def instants(platform, cn="2011"):
    return [message.time for message in platform.arrivals if message.cn == cn]


@pytest.fixture(scope="module")
def source(registry):
    return lambda site, device: MineSource(registry, Mine(registry, site, 1), registry.device(site, device))


@pytest.mark.parametrize("edition", [2005, 2017, 2025])
def test_every_device_reports_its_readings_without_a_deviation(registry, monday, source, edition):
    site = "jiuchi"
    devices = tuple(f"{site}/{device.id}" for device in registry.site(site).devices)
    end = monday + 12 * MINUTE_MS
    platform, _, members = finish(registry, monday, end, devices=devices, version=edition)
    framer = Framer()
    documents = [describe(frame) for raw in platform.frames for frame in framer.feed(raw)]
    assert all(document.ok and document.version == edition for document in documents)
    assert Counter(d for document in documents for d in document.deviations) == {}
    for member in members:
        rows = source(site, member.key.partition("/")[2]).rows(monday, end)
        sent = {
            (message.time, value.code): float(value.text)
            for message in platform.arrivals
            if message.mn == member.mn and message.cn in {"2011", "2021"}
            for value in message.values
            if value.kind in {"Rtd", "RS"}
        }
        assert len({time for time, _ in sent}) >= len(rows.times) > 0
        factors = source(site, member.key.partition("/")[2]).factors
        for i, time in enumerate(rows.times.tolist()):
            for k, factor in enumerate(factors):
                assert sent[time, factor.code] == pytest.approx(rows.values[i, k], abs=0.51 * 10.0**-factor.decimals)


def test_aggregates_are_those_of_the_readings(registry, monday, source):
    devices = ("kunyin/boundary-dust", "kunyin/boundary-noise")
    platform, _, (dust, noise) = finish(registry, monday, monday + DAY_MS, devices=devices, habits=Habits(rtd=3600))
    hour = monday
    taken = {key[1:]: value for key, value in platform.taken.items() if key[0] == dust.mn}
    values = source("kunyin", "boundary-dust").rows(hour, hour + 60 * MINUTE_MS).values[:, 1]
    text, flag = taken["2061", "20261109080000", "a34002", "Avg"]
    assert (float(text), flag) == (pytest.approx(values.mean(), abs=0.0001), "N")
    assert float(taken["2061", "20261109080000", "a34002", "Max"][0]) == pytest.approx(values.max())
    assert Counter(key[0] for key in taken if key[2:] == ("a34002", "Avg")) == {"2051": 144, "2061": 24, "2031": 1}
    levels = {key[1:]: float(value[0]) for key, value in platform.taken.items() if key[0] == noise.mn}
    sound = source("kunyin", "boundary-noise").rows(hour, hour + 60 * MINUTE_MS).values[:, 0]
    assert levels["2061", "20261109080000", "Leq", "Data"] == pytest.approx(
        10 * np.log10(np.mean(10 ** (sound / 10))), abs=0.051
    )
    assert levels["2061", "20261109080000", "L10", "Data"] == pytest.approx(np.percentile(sound, 90), abs=0.051)
    day = {key[2:]: value for key, value in levels.items() if key[0] == "2031"}
    assert day["Ld", "DayData"] > day["Leq", "Data"] > day["Ln", "NightData"]
    assert day["Ldn", "Data"] > day["Leq", "Data"]


def test_noise_of_2025_has_minutes_of_one_and_no_hours(registry, monday):
    platform, *_ = finish(registry, monday, monday + 60 * MINUTE_MS, devices=("kunyin/boundary-noise",), version=2025)
    assert Counter(message.cn for message in platform.arrivals) == {"2011": 60, "2051": 60}


@pytest.mark.parametrize("manner", ["silent", "wrong-qn", "wrong-crc", "garbage", "hang-up", "hang-up-unseen"])
def test_a_report_is_sent_until_it_is_acknowledged_and_order_is_kept(registry, monday, manner):
    end = monday + 6 * MINUTE_MS
    platform, counts, _ = finish(
        registry,
        monday,
        end,
        lambda message, seen: manner if message.time % 180_000 == 0 and seen < 2 else "answer",
        overtime=0.3,
    )
    first = list(dict.fromkeys(instants(platform)))
    assert first == list(range(monday, end, MINUTE_MS))
    assert counts["resent"] + counts["connections"] > 3


def test_after_the_last_repetition_the_connection_is_given_up_and_the_report_is_not(registry, monday):
    silent = iter(range(4))  # the message and its three repetitions
    platform, counts, _ = finish(
        registry,
        monday,
        monday + 2 * MINUTE_MS,
        lambda *_: "answer" if next(silent, None) is None else "silent",
        overtime=0.5,
    )
    assert instants(platform) == [monday] * 5 + [monday + MINUTE_MS]
    assert (counts["resent"], counts["connections"]) == (3, 2)


class Hand(SimClock):
    """A clock that is set by hand."""

    def __init__(self, instant):
        super().__init__(1.0, instant)
        self.instant = instant

    def now(self):
        return self.instant

    async def until(self, instant):
        while self.instant < instant:  # noqa: ASYNC110 - the hand is the test's
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("backlog", "expected"), [("first", "order"), ("last", "beside"), ("never", "missing")])
def test_what_fell_due_without_a_connection_is_sent_as_the_logger_is_set_up(registry, monday, backlog, expected):
    """The logger finds the platform an hour after its first reading, and goes on for half an hour."""
    end = monday + 90 * MINUTE_MS

    async def go():
        clock = Hand(monday + 60 * MINUTE_MS)
        habits = Habits(calibrate=False, commands=("2011",), backlog=backlog)
        async with Platform() as platform, asyncio.timeout(60):
            working = asyncio.create_task(run(members_for(registry, platform, monday, end, habits=habits, clock=clock)))
            await platform.until(lambda: monday + 60 * MINUTE_MS in instants(platform))
            clock.instant = end
            await working
            return instants(platform)

    times = asyncio.run(go())
    complete = set(times) == set(range(monday, end, MINUTE_MS))
    ordered = times == sorted(times)
    assert {(True, True): "order", (True, False): "beside", (False, True): "missing"}[complete, ordered] == expected
    assert len(times) == len(set(times))


def ask(registry, monday, cn, device="kunyin/boundary-dust", answer=True, version=2017, **fields):
    async def go():
        async with Platform() as platform:
            habits = Habits(commands=("2011",), backlog="never")
            clock = SimClock(1.0, monday + 2 * DAY_MS)
            (member,) = members_for(
                registry, platform, clock.now(), None, (device,), habits=habits, version=version, clock=clock
            )
            stop = asyncio.Event()
            working = asyncio.create_task(run([member], stop))
            await platform.until(lambda: bool(platform.notices))
            exchange = await platform.request(member.mn, cn, answer=answer, **fields)
            stop.set()
            await working
            return exchange, member, platform

    return asyncio.run(go())


@pytest.mark.parametrize(
    ("cn", "begin", "end", "count"),
    [
        ("2011", "20261109080000", "20261109081000", 11),
        ("2051", "20261109080000", "20261109090000", 7),
        ("2061", "20261109080000", "20261109080000", 1),
        ("2031", "20261109000000", "20261109000000", 1),
        ("2061", "20271109080000", "20271109080000", 0),
    ],
)
@pytest.mark.parametrize("answer", [True, False])
def test_history_is_given_when_asked_for_both_ends_included(registry, monday, cn, begin, end, count, answer):
    exchange, *_ = ask(registry, monday, cn, answer=answer, BeginTime=begin, EndTime=end)
    history = [message for message in exchange.data if message.cn == cn and message.datatime <= end]
    assert (exchange.ready, exchange.done) == ("1", "1" if count else "100")
    assert len(history) == count
    assert [message.datatime for message in history] == sorted(message.datatime for message in history)
    assert all(begin <= message.datatime and message.answer is answer for message in history)


@pytest.mark.parametrize(
    ("cn", "fields", "done"),
    [
        ("1000", {"OverTime": "5", "ReCount": "2"}, "1"),
        ("1000", {"OverTime": "0", "ReCount": "2"}, "3"),
        ("1011", {}, "1"),
        ("1012", {"SystemTime": "20261111080000"}, "1"),
        ("1012", {"SystemTime": "now"}, "3"),
        ("1061", {}, "1"),
        ("1062", {"RtdInterval": "30"}, "1"),
        ("1062", {"RtdInterval": "29"}, "3"),
        ("1063", {}, "1"),
        ("1064", {"MinInterval": "5"}, "1"),
        ("1064", {"MinInterval": "7"}, "3"),
        ("1072", {"NewPW": "abcdef"}, "1"),
        ("1072", {"NewPW": "abc"}, "3"),
        ("2031", {}, "3"),
    ],
)
def test_orders_are_obeyed_or_refused(registry, monday, cn, fields, done):
    exchange, member, _ = ask(registry, monday, cn, **fields)
    assert (exchange.ready, exchange.done) == ("1", done)
    logger = member.logger
    assert (logger._terms.overtime, logger._terms.recount) == ((5.0, 2) if (cn, done) == ("1000", "1") else (10.0, 3))
    assert logger._periods.rtd == (30_000 if (cn, done) == ("1062", "1") else 60_000)
    assert logger._periods.minutes == (5 if (cn, done) == ("1064", "1") else 10) * MINUTE_MS
    assert logger.sender.password == Secret("abcdef" if (cn, done) == ("1072", "1") else PASSWORD)


def test_a_request_that_the_edition_does_not_have_is_refused(registry, monday):
    fields = {"BeginTime": "20261109080000", "EndTime": "20261109080000"}
    exchange, *_ = ask(registry, monday, "2061", "kunyin/boundary-noise", version=2025, **fields)
    assert (exchange.ready, exchange.done) == ("8", None)


def test_a_logger_with_a_key_says_the_same_and_nothing_in_the_open(registry, monday):
    span = monday, monday + 10 * MINUTE_MS
    plain, *_ = finish(registry, *span, version=2025)
    secret, *_ = finish(registry, *span, version=2025, keys=[Sm4Key("000102030405060708090a0b0c0d0e0f")])
    assert secret.taken == plain.taken != {}
    assert not secret.faults
    assert not any(b"DataTime" in raw for raw in secret.frames)


def test_heartbeats_are_sent_in_the_edition_of_2025(registry, monday):
    async def go():
        async with Platform() as platform:
            habits = Habits(commands=("2031",), heartbeat=0.05)
            members = members_for(
                registry, platform, monday, None, habits=habits, version=2025, clock=SimClock(1.0, monday)
            )
            stop = asyncio.Event()
            working = asyncio.create_task(run(members, stop))
            await platform.until(lambda: sum(notice.cn == "9015" for notice in platform.notices) >= 2)
            stop.set()
            await working

    asyncio.run(go())


SPAN = 4 * MINUTE_MS


def with_fault(registry, start, kind, device="kunyin/boundary-dust", **parameters):
    fault = {"kind": kind, "start": start + SPAN, "end": start + 2 * SPAN, "parameters": parameters}
    habits = Habits(calibrate=False, commands=("2011",))
    clean, *_ = finish(registry, start, start + 3 * SPAN, devices=(device,), habits=habits)
    platform, counts, _ = finish(
        registry, start, start + 3 * SPAN, devices=(device,), habits=habits, faults=[fault], overtime=0.5
    )
    return clean, platform, counts


def test_a_wrong_check_sum_is_sent_once_and_then_the_right_one(registry, monday):
    clean, platform, counts = with_fault(registry, monday, "wrong-crc")
    assert platform.taken == clean.taken
    assert platform.faults == {"crc": 4}
    assert counts["resent"] == 4


def test_a_cut_stream_carries_the_same_frames(registry, monday):
    clean, platform, _ = with_fault(registry, monday, "cut-stream")
    assert platform.taken == clean.taken
    assert platform.faults == {}


def test_packets_carry_the_same_values_in_parts(registry, monday):
    clean, platform, _ = with_fault(registry, monday, "packets", factors=1)
    assert platform.taken == clean.taken
    parts = [(message.pno, message.pnum) for message in platform.arrivals if message.split]
    assert parts == [(1, 3), (2, 3), (3, 3)] * 4
    assert len({message.qn for message in platform.arrivals}) == len(platform.arrivals)


def test_a_lost_acknowledgement_brings_the_report_twice(registry, monday):
    clean, platform, _ = with_fault(registry, monday, "lost-ack")
    assert platform.taken == clean.taken
    touched = [time for time in instants(clean) if SPAN <= time - monday < 2 * SPAN]
    assert Counter(instants(platform)) - Counter(instants(clean)) == Counter(touched)


def test_catch_up_comes_after_what_is_newer(registry, monday):
    clean, platform, _ = with_fault(registry, monday, "catch-up")
    assert platform.taken == clean.taken
    times = instants(platform)
    late = [time for time in times if SPAN <= time - monday < 2 * SPAN]
    assert times.index(late[0]) > times.index(monday + 2 * SPAN)


def test_a_clock_that_is_off_shifts_the_times_only(registry, monday):
    clean, platform, _ = with_fault(registry, monday, "clock-off", offset=90_000)
    shift = [b - a for a, b in zip(instants(clean), instants(platform), strict=True)]
    assert shift == [0] * 4 + [90_000] * 4 + [0] * 4
    assert texts(clean) == texts(platform)


def texts(platform):
    return [value.text for message in platform.arrivals for value in message.values]


def test_an_order_to_set_the_clock_ends_its_error(registry, monday):
    async def go():
        async with Platform() as platform:
            fault = {"kind": "clock-off", "start": monday, "end": monday + DAY_MS, "parameters": {"offset": 600_000}}
            habits = Habits(commands=("2011",))
            clock = SimClock(600.0, monday)
            (member,) = members_for(registry, platform, monday, None, habits=habits, clock=clock, faults=[fault])
            stop = asyncio.Event()
            working = asyncio.create_task(run([member], stop))
            await platform.until(lambda: len(platform.arrivals) >= 2)
            told = clock.now() // 1000 * 1000
            await platform.request(member.mn, "1012", SystemTime=write_time(told))
            count = len(platform.arrivals)
            await platform.until(lambda: len(platform.arrivals) >= count + 3)
            stop.set()
            await working
            return platform.arrivals[0].time - monday, platform.arrivals[-1].time - monday

    first, last = asyncio.run(go())
    assert first == 600_000
    assert last < 600_000 + 10 * MINUTE_MS


@pytest.mark.parametrize(
    ("kind", "device", "code", "factor"),
    [("hectopascal", "kunyin/weather", "a01006", 10), ("milligram", "jiuchi/boundary-dust", "a34", 0.001)],
)
def test_a_wrong_unit_changes_its_values_only(registry, monday, kind, device, code, factor):
    clean, platform, _ = with_fault(registry, monday, kind, device, factor=factor)
    assert clean.taken.keys() == platform.taken.keys()
    begin, end = "20261109080400", "20261109080800"
    wrong = 0
    for key, (text, _) in platform.taken.items():
        touched = key[3].startswith(code) and begin <= key[2] < end
        wrong += touched
        assert float(text) == pytest.approx(float(clean.taken[key][0]) * (factor if touched else 1))
    assert wrong >= 4


def test_a_logger_whose_time_has_passed_sends_at_once_though_power_is_lost_today(registry, monday):
    today = monday + 2 * DAY_MS
    fault = {"kind": "catch-up", "start": today - DAY_MS // 4, "end": today + DAY_MS // 4, "parameters": {}}
    clock = SimClock(1.0, today)
    given = {"habits": Habits(calibrate=False, commands=("2011",)), "clock": clock}
    clean, *_ = finish(registry, monday, monday + SPAN, **given)
    platform, counts, _ = finish(registry, monday, monday + SPAN, faults=[fault], **given)
    assert platform.taken == clean.taken != {}
    assert counts["failures"] == 0


def test_a_fleet_has_its_faults_and_tells_their_truth(registry, monday, tmp_path):
    sites = ["kunyin", "jiuchi"]

    def make(kinds=WIRE_KINDS):
        return fleet(registry, sites, 1, monday, None, "127.0.0.1", 1, PASSWORD, faults=kinds, copies=2)

    members = make()
    assert len({member.mn for member in members}) == len(members) == 32
    known = wire_truth(members, registry, sites, 1, monday, monday + DAY_MS)
    known.write(tmp_path / "truth.json")
    assert (
        WireTruth.read(tmp_path / "truth.json")
        == known
        == wire_truth(make(), registry, sites, 1, monday, monday + DAY_MS)
    )
    assert {fault.kind for fault in known.faults} == set(WIRE_KINDS)
    for member in members:
        own = sorted((fault.start, fault.end) for fault in member.plans.day(monday // DAY_MS))
        assert all(one[1] <= other[0] for one, other in pairwise(own))
    some = wire_truth(make(("lost-ack",)), registry, sites, 1, monday, monday + DAY_MS).faults
    assert some == tuple(fault for fault in known.faults if fault.kind == "lost-ack")


def test_the_faults_of_a_fleet_lose_nothing_but_what_they_falsify(registry, monday):
    """A day of two mines under all faults, as the platform has it in the end, against the same day without."""

    async def go(faults):
        async with Platform() as platform:
            habits = Habits(rtd=600, commands=("2011", "2061"))
            members = fleet(
                registry,
                ["kunyin"],
                1,
                monday,
                monday + DAY_MS,
                "127.0.0.1",
                platform.port,
                PASSWORD,
                faults=faults,
                habits=habits,
                terms=Terms(0.1, 3),
            )
            # On a busy machine answers miss this short overtime, and then the loggers pause before they call again.
            async with asyncio.timeout(240):
                await run(members)
            return platform, members

    clean, _ = asyncio.run(go(()))
    platform, members = asyncio.run(go(WIRE_KINDS))
    of = {member.mn: member for member in members}
    changing = {"clock-off", "hectopascal", "milligram"}
    untouched = {
        key
        for key in clean.taken
        if (fault := of[key[0]].plans.at(read_time(key[2]))) is None or fault.kind not in changing
    }
    assert len(untouched) > 0.8 * len(clean.taken)
    assert {key: platform.taken[key] for key in untouched} == {key: clean.taken[key] for key in untouched}
    assert platform.faults["crc"] > 0


def test_the_command_says_who_the_loggers_are_and_what_was_put_in(tmp_path):
    """A day that has passed is sent at once."""

    async def go():
        async with Platform() as platform:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                "from greenmine.cli import main; main()",
                *("simulate", "--hj212", f"127.0.0.1:{platform.port}", "--site", "kunyin", "--edition", "2025"),
                *("--start", "2026-03-02T00:00+08:00", "--days", "0.02", "--faults", "cut-stream,packets"),
                *("--out", str(tmp_path)),
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "GREENMINE_HJ212_PASSWORD": "abcdef"},
            )
            out, _ = await process.communicate()
            return process.returncode, out.decode(), platform

    code, out, platform = asyncio.run(go())
    assert code == 0
    listed = dict(line.split(" ")[:2] for line in out.splitlines())
    assert listed["kunyin/weather"] == f"MN={number('kunyin', 'weather')}"
    assert {f"MN={message.mn}" for message in platform.arrivals} == set(listed.values())
    assert all(message.password == Secret("abcdef") and message.version == 2025 for message in platform.arrivals)
    assert WireTruth.read(tmp_path / "truth.json").start == 1772380800000


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--hj212", "here"], "HOST:PORT"),
        (["--hj212", "127.0.0.1:1", "--score"], "--score"),
        (["--hj212", "127.0.0.1:1", "--faults", "gap"], "wrong-crc"),
        (["--hj212", "127.0.0.1:1", "--copies", "0"], "--copies"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(options, told):
    with pytest.raises(SystemExit, match=told):
        app(["simulate", *options], exit_on_error=False)
