"""Platforms that answer as they should and as they should not."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from greenmine.collector.hj212.compose import write_time
from greenmine.collector.hj212.document import describe
from greenmine.collector.hj212.frame import Framer
from greenmine.collector.hj212.sm4 import Sm4Key
from greenmine.record.record import open_engine
from greenmine.uplink.client import Client
from greenmine.uplink.figures import UplinkFigures
from greenmine.uplink.outbox import UplinkOutbox
from greenmine.uplink.plan import load_plan
from tests.hj212_platform import Platform
from tests.uplink.uplink_site import (
    DUST,
    EQUIPMENT,
    HOUR,
    MINUTE,
    NOISE,
    START,
    WORD,
    Mine,
    assert_complete,
    datatimes,
    plan_of,
    until,
    values,
)

LATER = START + 400 * 24 * HOUR
INSTANTS = '["2011"]'
COMMANDS = '["2011", "2021", "2051"]'


@pytest.fixture
def mine(registry, tmp_path):
    return Mine(registry, tmp_path)


class Running:
    """The uplink with one feed, in this process."""

    def __init__(self, mine, platform, factors=DUST, plan=None, **options):
        folder = mine.folder
        path = plan_of(folder, platform.port, factors, **options)
        if plan is not None:
            path.write_text(plan)
        (route,) = load_plan(path, mine.registry, {"UPLINK_WORD": WORD})
        self.outbox = UplinkOutbox(folder / "uplink.sqlite")
        self.engine = open_engine(mine.place, read_only=True)
        self.client = Client(route, self.outbox, UplinkFigures(self.engine), lambda: LATER)
        self.mn = route.sender.mn

    def start(self):
        self.tasks = [asyncio.create_task(self.client.follow()), asyncio.create_task(self.client.caller.run())]

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.outbox.close()
        self.engine.dispose()

    async def settled(self):
        """Until the record is seen and nothing waits."""
        async with asyncio.timeout(60):
            while True:
                if (cursor := self.outbox.cursor("dust")) and self.outbox.next("dust", LATER) is None:
                    news = self.client._figures.news(self.client._route, cursor)
                    if news.cursor == cursor:
                        return
                for task in self.tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.05)


@asynccontextmanager
async def running(mine, platform, factors=DUST, **options):
    uplink = Running(mine, platform, factors, **options)
    uplink.start()
    try:
        yield uplink
    finally:
        await uplink.stop()


def sent_all(mine, manner=None, factors=DUST, **options):
    """The platform after everything in the record is acknowledged."""

    async def go():
        async with Platform() as platform:
            if manner is not None:
                platform.manner = manner
            async with running(mine, platform, factors, **options) as uplink:
                await uplink.settled()
                return platform, uplink.client.caller.counts

    return asyncio.run(go())


def test_everything_arrives_and_decodes_without_a_deviation(mine):
    mine.live(START + 10 * HOUR, START + 17 * HOUR, 60 * MINUTE)
    platform, counts = sent_all(mine)
    framer = Framer()
    documents = [describe(frame) for raw in platform.frames for frame in framer.feed(raw)]
    assert len(documents) == 7 * 60 + 7 * 6 + 6 + 1
    assert all(document.ok and document.version == 2017 and document.flag.answer for document in documents)
    assert Counter(d for document in documents for d in document.deviations) == {}
    assert_complete(mine, platform, START + 10 * HOUR, START + 17 * HOUR)
    assert counts["resent"] == 0
    assert all(message.password.matches(WORD) for message in platform.arrivals)
    for cn in ("2011", "2051", "2061", "2031"):
        assert datatimes(platform, cn) == sorted(datatimes(platform, cn))


@pytest.mark.parametrize(
    "manner", ["late", "twice", "wrong-qn", "wrong-crc", "garbage", "silent", "hang-up", "hang-up-unseen"]
)
def test_a_platform_that_errs_gets_everything_in_order(mine, manner):
    mine.live(START, START + 20 * MINUTE)
    platform, counts = sent_all(
        mine,
        lambda message, seen: manner if message.time % (7 * MINUTE) == 0 and seen < 2 else "answer",
        commands=INSTANTS,
        overtime=0.5,
    )
    firsts = list(dict.fromkeys(datatimes(platform, "2011")))
    assert firsts == list(range(START, START + 20 * MINUTE, MINUTE))
    if manner == "garbage":  # which may hide the next answer until the platform pauses
        assert counts["resent"] >= 6
    if manner in {"wrong-qn", "wrong-crc", "silent"}:
        assert counts["resent"] == 6
        assert counts["connections"] == 1
    if manner == "twice":
        assert (counts["resent"], counts["stray"]) == (0, 3)


def test_a_message_is_sent_again_as_it_was_and_then_the_connection_is_given_up(mine):
    mine.live(START, START + 2 * MINUTE)
    mute = iter(range(4))
    platform, counts = sent_all(
        mine, lambda *_: "silent" if next(mute, None) is not None else "answer", commands=INSTANTS, overtime=0.5
    )
    assert len(set(platform.frames[:4])) == 1
    assert datatimes(platform, "2011") == [START] * 5 + [START + MINUTE]
    assert (counts["resent"], counts["connections"]) == (3, 2)


def test_a_late_answer_after_a_repetition_settles_the_message_once(mine):
    mine.live(START, START + 3 * MINUTE)

    async def go():
        async with (
            Platform(lambda _, seen: "late" if seen == 0 else "silent", delay=0.3) as platform,
            running(mine, platform, commands=INSTANTS, overtime=0.2) as uplink,
        ):
            await uplink.settled()
            return platform, uplink.client.caller.counts

    platform, counts = asyncio.run(go())
    assert list(dict.fromkeys(datatimes(platform, "2011"))) == [START, START + MINUTE, START + 2 * MINUTE]
    assert counts["answered"] == 3


def test_a_platform_that_was_away_gets_the_backlog_and_a_restart_forgets_nothing(mine):
    async def go():
        platform = Platform(lambda message, _: "answer" if message.time < START + 5 * MINUTE else "silent")
        await platform.start()
        mine.live(START, START + 10 * MINUTE)
        async with running(mine, platform, commands=INSTANTS):
            await platform.until(lambda: START + 5 * MINUTE in datatimes(platform, "2011"))
        mine.live(START + 10 * MINUTE, START + 20 * MINUTE)
        platform.manner = lambda *_: "answer"
        before = len(platform.arrivals)
        async with running(mine, platform, commands=INSTANTS) as uplink:
            await uplink.settled()
        await platform.stop()
        return datatimes(platform, "2011")[before:]

    assert asyncio.run(go()) == list(range(START + 5 * MINUTE, START + 20 * MINUTE, MINUTE))


def test_a_platform_that_is_not_there_is_called_again(mine):
    mine.live(START, START + 2 * MINUTE)

    async def go():
        platform = Platform()
        await platform.start()
        await platform.stop()
        async with running(mine, platform, commands=INSTANTS) as uplink:
            await until(lambda: uplink.client.caller.counts["failures"] >= 2)
            assert uplink.client.caller.trouble
            await platform.start(platform.port)
            await uplink.settled()
            await platform.stop()
        return datatimes(platform, "2011")

    assert asyncio.run(go()) == [START, START + MINUTE]


def test_a_restated_figure_is_sent_again_with_its_newest_value(mine):
    """A gap in an hour is filled after the hour was sent."""
    times = [t for t in range(START, START + 3 * HOUR, MINUTE) if not 10 <= (t - START) // MINUTE < 20]
    mine.commit("mine/south/pm10", times, 50.0)

    async def go():
        async with Platform() as platform, running(mine, platform) as uplink:
            await uplink.settled()
            before = values(platform, "2061", "a34002", "Avg")[write_time(START)]
            count = len(platform.arrivals)
            mine.commit("mine/south/pm10", range(START + 10 * MINUTE, START + 20 * MINUTE, MINUTE), 110.0)
            await uplink.settled()
            return before, platform, [message.cn for message in platform.arrivals[count:]]

    before, platform, commands = asyncio.run(go())
    assert before[0] == "50.0"
    assert values(platform, "2061", "a34002", "Avg")[write_time(START)] == ("60.0", "N")
    assert values(platform, "2051", "a34002", "Avg")[write_time(START + 10 * MINUTE)] == ("110.0", "N")
    assert Counter(commands) == {"2011": 10, "2051": 1, "2061": 1}


def test_what_changes_while_it_is_sent_is_sent_again(mine):
    """The second channel of an instant arrives between the report and its acknowledgement."""
    mine.commit("mine/south/pm10", [START], 50.0)

    async def go():
        release = asyncio.Event()
        async with (
            Platform(lambda *_: "answer" if release.is_set() else "silent") as platform,
            running(mine, platform, commands=INSTANTS, overtime=0.5) as uplink,
        ):
            await platform.until(lambda: bool(platform.arrivals))
            mine.commit("mine/south/tsp", [START], 90.0)
            await until(lambda: uplink.outbox.next("dust", LATER).changes > 0)
            release.set()
            await uplink.settled()
            return values(platform, "2011", "a34001", "Rtd"), values(platform, "2011", "a34002", "Rtd")

    tsp, pm10 = asyncio.run(go())
    assert tsp == {write_time(START): ("0.0900", "N")}
    assert pm10 == {write_time(START): ("50.0", "N")}


@pytest.mark.parametrize(
    ("cn", "begin", "end", "count"),
    [
        ("2011", START + 5 * MINUTE, START + 9 * MINUTE, 5),
        ("2051", START, START + 30 * MINUTE, 4),
        ("2061", START, START + HOUR, 2),
        ("2061", START - 1000 * HOUR, START - 900 * HOUR, 0),
        ("2011", START - 30 * 365 * 24 * HOUR, START, 1),
    ],
)
@pytest.mark.parametrize("answer", [True, False])
def test_history_is_given_when_the_platform_asks(mine, cn, begin, end, count, answer):
    mine.live(START, START + 130 * MINUTE, 65 * MINUTE)

    async def go():
        late = "since = 2025-03-03T10:08:00+08:00"  # so that little is sent unasked
        async with Platform() as platform, running(mine, platform, since=late) as uplink:
            await uplink.settled()
            times = {"BeginTime": write_time(begin), "EndTime": write_time(end)}
            return await platform.request(uplink.mn, cn, answer=answer, **times)

    exchange = asyncio.run(go())
    assert (exchange.ready, exchange.done) == ("1", "1" if count else "100")
    assert len(exchange.data) == count
    assert all(begin <= message.time <= end and message.answer is answer for message in exchange.data)


@pytest.mark.parametrize(
    ("cn", "fields", "ready", "done"),
    [
        ("1000", {"OverTime": "9", "ReCount": "2"}, "1", "1"),
        ("1000", {"OverTime": "0", "ReCount": "2"}, "1", "3"),
        ("1011", {}, "1", "1"),
        ("1061", {}, "1", "1"),
        ("1063", {}, "1", "1"),
        ("1012", {"SystemTime": "20261111080000"}, "2", None),
        ("1072", {"NewPW": "ghijkl"}, "2", None),
        ("2061", {}, "1", "3"),
        ("2031", {"BeginTime": "soon", "EndTime": "later"}, "1", "3"),
        ("3019", {}, "8", None),
    ],
)
def test_orders_are_obeyed_or_refused(mine, cn, fields, ready, done):
    mine.live(START, START + MINUTE)

    async def go():
        async with Platform() as platform, running(mine, platform) as uplink:
            await uplink.settled()
            return await platform.request(uplink.mn, cn, **fields), uplink.client._terms.recount

    exchange, recount = asyncio.run(go())
    assert (exchange.ready, exchange.done) == (ready, done)
    assert recount == (2 if (cn, done) == ("1000", "1") else 3)


def test_instants_that_the_platform_stops_wait_until_it_wants_them_again(mine):
    async def go():
        async with Platform() as platform, running(mine, platform, commands='["2011", "2051"]') as uplink:
            mine.live(START, START + MINUTE)
            await uplink.settled()
            await platform.request(uplink.mn, "2012")
            mine.live(START + MINUTE, START + 10 * MINUTE)
            await platform.until(lambda: len(datatimes(platform, "2051")) == 2)
            stopped = datatimes(platform, "2011")
            await platform.request(uplink.mn, "2011")
            await uplink.settled()
            return stopped, datatimes(platform, "2011")

    stopped, all_of_them = asyncio.run(go())
    assert stopped == [START]
    assert all_of_them == list(range(START, START + 10 * MINUTE, MINUTE))


def test_noise_of_2025_has_levels_of_a_minute_and_no_hours(mine):
    mine.live(START, START + 3 * HOUR, HOUR)
    platform, _ = sent_all(mine, factors=NOISE, version=2025, minutes=1)
    assert Counter(message.cn for message in platform.arrivals) == {"2011": 180, "2051": 180}
    assert {message.flag for message in platform.arrivals} == {9}
    assert {key[3:] for key in platform.taken if key[1] == "2011"} == {("LA", "Rtd"), ("LMx", "Rtd")}
    assert {key[3:] for key in platform.taken if key[1] == "2051"} == {
        (code, "Data") for code in ("Leq", "LMx", "L10", "L50", "L90")
    }


def test_a_long_report_goes_in_packets_that_are_each_acknowledged(mine):
    mine.live(START, START + HOUR, HOUR)
    factors = "".join(
        f'[[feeds.factors]]\nstation = "{s}"\nparameter = "{p}"\ncode = "{p[0]}{"9" * 90}{p.replace("-", "")}"\n'
        for s, p in (("south", "tsp"), ("south", "pm10"), ("pond", "flow"), ("pond", "ph"))
    )
    platform, _ = sent_all(mine, factors=factors, commands='["2051"]')
    assert {message.pnum for message in platform.arrivals if message.time == START} == {2}
    assert all(len(frame) < 1024 for frame in platform.frames)
    assert len(values(platform, "2051", "t" + "9" * 90 + "tsp", "Avg")) == 6


def test_states_of_equipment_go_by_a_command_of_their_own_and_wait_while_they_are_stopped(mine):
    key = "mine/yard/equipment-state"

    async def go():
        async with Platform() as platform, running(mine, platform, DUST + EQUIPMENT, commands=COMMANDS) as uplink:
            mine.commit(key, [START], 1.0)
            mine.commit(key, [START + MINUTE], 0.0)
            mine.commit(key, [START + 2 * MINUTE], float("nan"), "M")
            mine.commit(key, [START + 3 * MINUTE], float("nan"), "B")
            await uplink.settled()
            await platform.request(uplink.mn, "2022")
            mine.commit("mine/south/tsp", [START + 4 * MINUTE], 90.0)
            mine.commit(key, [START + 4 * MINUTE], 1.0)
            await platform.until(lambda: platform.arrivals[-1].cn == "2051")
            stopped = datatimes(platform, "2021")
            await platform.request(uplink.mn, "2021")
            await uplink.settled()
            return platform, stopped

    platform, stopped = asyncio.run(go())
    assert stopped == [START, START + MINUTE, START + 2 * MINUTE]
    sent = {write_time(START + n * MINUTE): (text, None) for n, text in ((0, "1"), (1, "0"), (2, "3"), (4, "1"))}
    assert values(platform, "2021", "SB1", "RS") == sent
    assert {message.cn for message in platform.arrivals} == {"2011", "2021", "2051"}
    assert [d for raw in platform.frames for frame in Framer().feed(raw) for d in describe(frame).deviations] == []


def test_a_days_report_of_noise_tells_day_night_and_both_with_the_weight_of_the_night(mine):
    """The worked example of the standard: Ld 60 and Ln 50 make Ldn 60 (GB 3096-2008)."""
    evening, morning = START + 14 * HOUR, START + 22 * HOUR
    day = range(START - 2 * HOUR, evening, MINUTE)
    mine.commit("mine/fence/laeq", [*day, *range(evening, morning + 2 * HOUR, MINUTE)], [60.0] * 960 + [50.0] * 600)
    midnight = START - 8 * HOUR
    (route,) = load_plan(plan_of(mine.folder, 9212, NOISE), mine.registry, {"UPLINK_WORD": WORD})
    engine = open_engine(mine.place, read_only=True)
    found = {(v.code, v.kind): v.text for v in UplinkFigures(engine).report(route, "2031", midnight)}
    engine.dispose()
    assert found["Ld", "DayData"] == "60.0"
    assert found["Ln", "NightData"] == "50.0"
    assert found["Ldn", "Data"] == "60.0"


def test_encrypted_reports_arrive_with_each_key_around_a_change(mine):
    old, new = "000102030405060708090a0b0c0d0e0f", "fedcba98765432100123456789abcdef"
    mine.live(START + 10 * HOUR, START + 11 * HOUR, 60 * MINUTE)
    found = []

    async def go(word, known):
        async with Platform(keys=[Sm4Key(key) for key in known]) as platform:
            path = plan_of(mine.folder, platform.port, version=2025, minutes=1, commands=INSTANTS)
            text = path.read_text().replace("recount = 3", 'recount = 3\nkeys_file = "keys"')
            (mine.folder / "keys").write_text(f"AABBCCDDEEFF001122334455 = {word}\n")
            async with running(mine, platform, plan=text) as uplink:
                await uplink.settled()
            found.extend(message.datatime for message in platform.arrivals)
            assert not platform.faults
            assert all(b"CP=&&{0x" in raw and b"DataTime" not in raw for raw in platform.frames)

    asyncio.run(go(old, [old]))
    mine.live(START + 11 * HOUR, START + 12 * HOUR, 60 * MINUTE)
    asyncio.run(go(new, [new, old]))
    assert found == [write_time(START + 10 * HOUR + n * MINUTE) for n in range(120)]


def test_heartbeats_are_sent_in_the_edition_of_2025(mine):
    async def go():
        async with Platform() as platform:
            plan = plan_of(mine.folder, platform.port, version=2025, minutes=1).read_text()
            plan = plan.replace("recount = 3", "recount = 3\nheartbeat = 0.05")
            async with running(mine, platform, plan=plan):
                await platform.until(lambda: len(platform.notices) >= 2)
            return platform.notices

    assert {(notice.cn, notice.st, notice.flag) for notice in asyncio.run(go())} == {("9015", "39", 8)}
