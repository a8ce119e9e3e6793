"""What the server asks of loggers: the first link, the time, and data that is missing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Literal

import pytest

from greenmine.collector.hj212.compose import Sender
from greenmine.collector.hj212.message import Message
from greenmine.collector.hj212.secret import Secret
from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.simulators.loggers.logger import SimulatedLogger
from greenmine.simulators.loggers.report import Reporter
from greenmine.simulators.loggers.source import MineSource
from greenmine.simulators.mine import Mine
from tests.collector.hj212.hj212_station import Station
from tests.loggers import PASSWORD, TcpLogger, mn_of, stamp

MINUTE = 60_000
HOUR = 60 * MINUTE
Serve = Callable[..., Station]
QUICK: dict[str, Any] = {"hj212_overtime_seconds": 0.2, "hj212_resends": 2, "hj212_rate": 1e6}
PATIENT: dict[str, Any] = {**QUICK, "hj212_overtime_seconds": 10}
"""For loggers that answer, however busy the machine is."""
DUST_ONLY: dict[str, Any] = {"parameters": ["pm10"]}


def minute(back: int = 0) -> int:
    """A whole minute before now [ms UTC]."""
    return (time.time_ns() // 1_000_000 // MINUTE - back) * MINUTE


def pairs(message: Message) -> dict[str, str]:
    return {field.name: str(field.text) for field in message.fields}


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for happens in other threads
        await asyncio.sleep(0.02)


async def meet(logger: TcpLogger, back: int = 0) -> None:
    """Let the server know who it is."""
    await logger.upload(logger.message("2011", {"a34002-Rtd": 20}, time=minute(back)))


def minutes_of(logger: TcpLogger, start: int, end: int, cn: str = "2051", every: int = MINUTE) -> list[Message]:
    values = {"a34002-Avg": 21, "a34002-Min": 20, "a34002-Max": 30}
    return [logger.message(cn, values, time=at) for at in range(start, end, every)]


def requested(logger: TcpLogger) -> list[str | None]:
    return [request.cn for request in logger.requests]


def test_the_first_link_sets_the_clock_and_the_timeouts_and_asks_the_intervals(serve: Serve) -> None:
    station = serve({"more": ""}, **QUICK)

    async def talk() -> list[Message]:
        async with TcpLogger(station.port) as logger:
            logger.history = {}
            await meet(logger)
            await until(lambda: len(logger.requests) >= 4)
            return logger.requests

    requests = station.talk(talk())
    assert [request.cn for request in requests[:4]] == ["1012", "1000", "1061", "1063"]
    assert pairs(requests[0])["SystemTime"][:12] in {stamp(minute(back))[:12] for back in (0, 1)}
    assert pairs(requests[1]) == {"OverTime": "1", "ReCount": "2"}
    assert {(request.flag, request.st, request.mn) for request in requests} == {(5, "39", "888880000000")}
    assert len({request.qn for request in requests}) == len(requests)


def test_intervals_are_set_where_the_profile_says_so_and_the_clock_is_left_alone(serve: Serve) -> None:
    more = "sets_clock = false\nreal_time_seconds = 30\nminutes = 10\nsets_minutes = true"
    station = serve({"more": more}, **QUICK)

    async def talk() -> list[Message]:
        async with TcpLogger(station.port) as logger:
            logger.history = {}
            await meet(logger)
            await until(lambda: len(logger.requests) >= 3)
            return logger.requests

    found = [(request.cn, pairs(request)) for request in station.talk(talk())[1:3]]
    assert found == [("1062", {"RtdInterval": "30"}), ("1064", {"MinInterval": "10"})]


def test_a_logger_that_asks_for_the_time_gets_it(serve: Serve) -> None:
    station = serve({"more": "sets_clock = false"}, **QUICK)

    async def talk() -> list[str | None]:
        async with TcpLogger(station.port) as logger:
            logger.history = {}
            assert (await logger.upload(logger.message("1013"))).cn == "9013"
            await until(lambda: "1012" in requested(logger))
            return requested(logger)

    assert station.talk(talk()).count("1012") == 1


def test_a_request_without_reply_is_sent_again_and_then_the_logger_is_left_alone(serve: Serve) -> None:
    station = serve({"more": ""}, **QUICK)

    async def talk() -> list[Message]:
        async with TcpLogger(station.port) as logger:
            await meet(logger, 1)
            await until(lambda: station.server.counters.outcomes["silent"])
            await meet(logger)
            return logger.requests

    requests = station.talk(talk())
    assert [request.cn for request in requests] == ["1012"] * 3
    assert len({request.qn for request in requests}) == 1
    assert station.ledger()["stored"] == 2


def test_a_logger_that_obeys_nothing_is_asked_nothing(serve: Serve) -> None:
    station = serve({"more": "obeys = false"}, **QUICK)

    async def talk() -> list[Message]:
        async with TcpLogger(station.port) as logger:
            await meet(logger)
            await asyncio.sleep(0.3)
            return logger.requests

    assert station.talk(talk()) == []


def outage(station: Station, back: int, length: int, *, obeys: bool = True) -> tuple[int, int, list[Message]]:
    """A logger whose line was cut: it comes back and has stored minute data; the gap, and what it was asked."""
    start, end = minute(back), minute(back) + length * MINUTE

    async def talk() -> list[Message]:
        more = {"2011": "Rtd", "2051": "Avg"}
        said = station.registry.profiles["logger"].hj212
        assert said is not None
        kind = f"a34002-{more[said.readings_from]}"
        async with TcpLogger(station.port) as logger:
            for at in range(start - 10 * MINUTE, start, MINUTE):
                await logger.upload(logger.message(said.readings_from, {kind: 20}, time=at))
        async with TcpLogger(station.port) as logger:
            logger.history = {"2051": minutes_of(logger, start, end), "2061": []} if obeys else {"2051": [], "2061": []}
            for at in range(end, minute() + 1, MINUTE):
                await logger.upload(logger.message(said.readings_from, {kind: 22}, time=at))
            await until(
                lambda: station.rows(schema.gap) and all(row["state"] != "open" for row in station.rows(schema.gap))
            )
            return [request for request in logger.requests if request.cn in {"2051", "2061"}]

    return start, end, station.talk(talk())


def test_an_outage_of_an_hour_is_asked_back_and_filled_with_readings(serve: Serve) -> None:
    station = serve({**DUST_ONLY, "more": 'readings_from = "2051"'}, **PATIENT, hj212_catchup_minutes=20)
    start, end, requests = outage(station, 75, 60)
    assert {(at, value) for at, value, _ in station.readings("pm10") if start <= at < end} == {
        (at, 21.0) for at in range(start, end, MINUTE)
    }
    gaps = station.rows(schema.gap)
    assert (min(gap["start"] for gap in gaps), max(gap["end"] for gap in gaps)) == (start, end)
    assert {(gap["state"], gap["source"], gap["filled"]) for gap in gaps} == {("filled", "readings", 60)}
    spans = [pairs(request) for request in requests if request.cn == "2051"]
    assert [(span["BeginTime"], span["EndTime"]) for span in spans] == [
        (stamp(at), stamp(at + 19 * MINUTE)) for at in range(start, end, 20 * MINUTE)
    ]
    ledger = station.ledger()
    assert ledger["received"] == ledger["stored"] + ledger["duplicate"] == ledger["messages"]


def test_an_outage_of_a_logger_of_real_time_data_is_shown_as_filled_by_what_it_reports(serve: Serve) -> None:
    station = serve({**DUST_ONLY, "more": ""}, **PATIENT)
    start, end, _ = outage(station, 75, 60)
    assert [at for at, _, _ in station.readings("pm10") if start <= at < end] == []
    (gap,) = station.rows(schema.gap)
    assert (gap["start"], gap["end"], gap["state"], gap["source"], gap["filled"]) == (
        start,
        end,
        "filled",
        "reported",
        60,
    )
    reports = station.rows(schema.reported)
    assert {(row["command"], row["mean"], row["minimum"], row["maximum"]) for row in reports} == {
        ("2051", 21.0, 20.0, 30.0)
    }
    assert [row["start"] for row in reports] == list(range(start, end, MINUTE))


def test_what_a_logger_does_not_have_is_asked_once_and_shown_as_missing(serve: Serve) -> None:
    station = serve({**DUST_ONLY, "more": ""}, **PATIENT, hj212_catchup_seconds=0.2)
    outage(station, 20, 10, obeys=False)
    (gap,) = station.rows(schema.gap)
    assert (gap["state"], gap["filled"], gap["source"], gap["asked"]) == ("unfilled", 0, "", 1)


def test_a_gap_stays_open_while_the_logger_breaks_off_and_is_filled_when_it_is_back(serve: Serve) -> None:
    station = serve({**DUST_ONLY, "more": 'readings_from = "2051"'}, **QUICK)
    start, end = minute(30), minute(10)

    async def talk() -> None:
        async with TcpLogger(station.port) as logger:
            await logger.upload(logger.message("2051", {"a34002-Avg": 20}, time=start - MINUTE))
        async with TcpLogger(station.port) as logger:
            logger.history, logger.breaks_off = {"2051": []}, True
            await logger.upload(logger.message("2051", {"a34002-Avg": 20}, time=end))
            await until(lambda: station.server.counters.outcomes["broken-off"])
            await until(lambda: [(row["state"], row["asked"]) for row in station.rows(schema.gap)] == [("open", 1)])
        async with TcpLogger(station.port) as logger:
            logger.history = {"2051": minutes_of(logger, start, end)}
            await logger.upload(logger.message("2051", {"a34002-Avg": 20}, time=end + MINUTE))
            await until(lambda: [row["state"] for row in station.rows(schema.gap)] == ["filled"])

    station.talk(talk())
    (gap,) = station.rows(schema.gap)
    assert (gap["asked"], gap["filled"], gap["start"], gap["end"]) == (2, 20, start, end)


def test_a_new_logger_is_asked_for_nothing_that_was_before_it(serve: Serve) -> None:
    station = serve({**DUST_ONLY, "more": ""}, **PATIENT, hj212_catchup_seconds=0.1)

    async def talk() -> list[str | None]:
        async with TcpLogger(station.port) as logger:
            logger.history = {"2051": [], "2061": []}
            await meet(logger)
            await until(lambda: len(logger.requests) >= 5)
            await asyncio.sleep(0.3)
            return requested(logger)

    assert station.talk(talk()) == ["1012", "1000", "1061", "1063", "2011"]


@pytest.mark.parametrize(("cn", "length"), [("2061", HOUR), ("2031", 24 * HOUR), ("2051", MINUTE)])
def test_reported_aggregates_are_kept_apart_and_compared_with_our_own(serve: Serve, cn: str, length: int) -> None:
    station = serve({**DUST_ONLY, "more": "obeys = false"}, hj212_rate=1e6)
    start = minute(70) // HOUR * HOUR

    async def talk() -> None:
        async with TcpLogger(station.port) as logger:
            for at, value in ((start, 10), (start + 20_000, 20), (start + 40_000, 60)):
                await logger.upload(logger.message("2011", {"a34002-Rtd": value}, time=at))
            values = {"a34002-Avg": 33, "a34002-Min": 10, "a34002-Max": 60, "a34002-Cou": 5}
            for _ in range(2):
                await logger.upload(logger.message(cn, values, time=start))
            assert len(station.rows(schema.reported)) == 1
            await logger.upload(logger.message(cn, values | {"a34002-Avg": 34.5}, time=start))

    station.talk(talk())
    assert len(station.readings("pm10")) == 3
    assert (station.ledger()["messages"], station.ledger()["received"]) == (6, 3)
    old, new = sorted(station.rows(schema.reported), key=lambda row: row["revision"])
    assert (old["mean"], old["latest"], new["mean"], new["latest"]) == (33.0, False, 34.5, True)
    assert (new["end"] - new["start"], new["minimum"], new["maximum"], new["total"]) == (length, 10.0, 60.0, 5.0)
    assert new["compared"] is None
    station.in_record(station.logger_record.look_after, start + length + 2 * MINUTE)
    new = station.rows(schema.reported)[1]
    assert (new["own_mean"], new["own_count"], new["difference"]) == (30.0, 3, 4.5)


def test_the_day_hours_of_a_noise_report_are_compared_and_its_night_is_kept_as_said(serve: Serve) -> None:
    station = serve({"parameters": ["laeq"], "more": "obeys = false"}, hj212_rate=1e6)
    midnight = (minute() + 8 * HOUR) // (24 * HOUR) * 24 * HOUR - 8 * HOUR - 24 * HOUR

    async def talk() -> None:
        async with TcpLogger(station.port) as logger:
            for hour, level in ((5, 90), (6, 50), (21, 60), (22, 90)):
                await logger.upload(logger.message("2011", {"LA-Rtd": level}, time=midnight + hour * HOUR))
            day = {"Ld-DayData": 58, "L10-DayData": 61, "Ln-NightData": 45.5}
            await logger.upload(logger.message("2031", day, time=midnight))

    station.talk(talk())
    station.in_record(station.logger_record.look_after, minute())
    (report,) = station.rows(schema.reported)
    assert (report["start"], report["end"]) == (midnight + 6 * HOUR, midnight + 22 * HOUR)
    assert (report["mean"], report["own_count"], round(report["own_mean"], 2)) == (58.0, 2, 57.4)
    (kept,) = station.rows(schema.information)
    assert json.loads(kept["content"]) == [["L10-DayData", "61"], ["Ln-NightData", "45.5"]]


def test_a_report_is_compared_again_when_our_figure_is_restated(serve: Serve) -> None:
    station = serve({**DUST_ONLY, "more": "obeys = false"}, hj212_rate=1e6)
    start = minute(0) // HOUR * HOUR - 3 * HOUR

    async def send(at: int, value: float, cn: str = "2011", kind: str = "Rtd") -> None:
        async with TcpLogger(station.port) as logger:
            await logger.upload(logger.message(cn, {f"a34002-{kind}": value}, time=at))

    def difference() -> float:
        station.in_record(station.logger_record.look_after, minute())
        (row,) = station.rows(schema.reported)
        return float(row["difference"])

    station.talk(send(start, 10))
    station.talk(send(start, 30, "2061", "Avg"))
    station.talk(send(start + HOUR + 10 * MINUTE, 12))
    assert difference() == 20.0
    station.talk(send(start + 30 * MINUTE, 20))
    assert difference() == 15.0


@pytest.mark.parametrize(
    ("more", "ordered"),
    [
        ("", ["2011", "2021"]),
        ("real_time = false\nequipment_state = false", ["2012", "2022"]),
        ('readings_from = "2051"', ["2021"]),
        ('readings_from = "2051"\nreal_time = false', ["2012", "2021"]),
    ],
)
def test_real_time_data_and_states_are_ordered_at_the_first_link_or_stopped(
    serve: Serve, more: str, ordered: list[str]
) -> None:
    station = serve({"more": more}, **PATIENT)

    async def talk() -> list[str | None]:
        async with TcpLogger(station.port) as logger:
            logger.history = {}
            await meet(logger)
            await until(lambda: len(logger.requests) >= 4 + len(ordered))
            return requested(logger)[4:]

    assert station.talk(talk())[: len(ordered)] == ordered


@pytest.mark.parametrize("edition", [2005, 2017, 2025])
def test_a_simulated_logger_of_each_edition_carries_out_the_whole_first_link(
    serve: Serve, edition: Literal[2005, 2017, 2025]
) -> None:
    station = serve(DUST_ONLY, **PATIENT)
    registry = load_registry()
    source = MineSource(registry, Mine(registry, "kunyin", 1), registry.device("kunyin", "boundary-dust"))
    sender = Sender(mn_of(0), "39", Secret(PASSWORD), edition)
    logger = SimulatedLogger(
        sender, source, Reporter(source, "Asia/Shanghai", 6, 22), "127.0.0.1", station.port, minute()
    )

    async def talk() -> None:
        running = asyncio.create_task(logger.run())
        await until(lambda: station.server.counters.outcomes["done"] >= 5)
        running.cancel()

    station.talk(talk())
    assert set(station.server.counters.outcomes) <= {"done", "empty"}
    assert station.server.counters.outcomes["done"] >= 5


class Headstrong(TcpLogger):
    """Takes no orders to send real-time data, as it sends it anyway."""

    async def _obey(self, request: Message) -> None:
        if request.cn != "2011":
            await super()._obey(request)


def test_a_logger_that_answers_no_order_for_real_time_data_and_sends_it_all_the_time_is_asked_on(serve: Serve) -> None:
    station = serve(DUST_ONLY, **QUICK)

    async def talk() -> list[str | None]:
        async with Headstrong(station.port) as logger:
            logger.history = {}
            while not station.server.counters.outcomes["silent"]:
                await meet(logger)
            await logger.upload(logger.message("1013"))
            await until(lambda: requested(logger)[-1] == "1012")
            return requested(logger)

    assert station.talk(talk()) == ["1012", "1000", "1061", "1063", "2011", "2011", "2011", "1012"]
