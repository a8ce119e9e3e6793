"""Exchanges between loggers and the server, over real TCP, with a real record."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from greenmine.collector.hj212.crc import Variant
from greenmine.collector.hj212.dialect import Dialect
from greenmine.collector.hj212.encode import encode_frame
from greenmine.collector.hj212.message import Message
from greenmine.record import schema
from tests.collector.hj212.hj212_frames import DUST
from tests.collector.hj212.hj212_station import Station
from tests.loggers import PASSWORD, TcpLogger, mn_of

MINUTE = 60_000
Serve = Callable[..., Station]


def recently(minutes: int = 5) -> int:
    return (time.time_ns() // 1_000_000 // MINUTE - minutes) * MINUTE


async def uploaded(port: int, *messages: tuple[str, dict[str, Any], dict[str, Any]], **options: Any) -> list[Message]:
    async with TcpLogger(port, **options) as logger:
        return [await logger.upload(logger.message(cn, values, **more)) for cn, values, more in messages]


def test_real_time_data_is_answered_when_it_is_stored(serve: Serve) -> None:
    station, at = serve(), recently()

    async def talk() -> Message:
        async with TcpLogger(station.port) as logger:
            message = logger.message("2011", {"a34002-Rtd": 52.1, "LA-Rtd": 50.5, "a01006-Rtd": 1002}, time=at)
            answer = await logger.upload(message)
            assert answer.qn == message.qn
            return answer

    answer = station.talk(talk())
    assert (answer.cn, answer.st, answer.flag, answer.mn) == ("9014", "91", 4, "888880000000")
    assert station.readings("pm10") == [(at, 52.1, "N")]
    assert station.readings("laeq") == [(at, 50.5, "N")]
    assert station.readings("pressure") == [(at, pytest.approx(100.2), "N")]
    assert station.ledger() | {"messages": 1} == station.ledger()
    assert station.ledger()["stored"] == 3


def test_without_the_wish_for_an_answer_there_is_none_and_the_data_is_stored(serve: Serve) -> None:
    station, at = serve(), recently()

    async def talk() -> Message:
        async with TcpLogger(station.port) as logger:
            logger.write(logger.message("2011", {"a34002-Rtd": 1.5}, time=at, flag=4))
            return await logger.upload(
                logger.message("2011", {"a34002-Rtd": 1.6}, time=at + MINUTE, qn="20260101000000007")
            )

    assert station.talk(talk()).qn == "20260101000000007"
    assert [value for _, value, _ in station.readings("pm10")] == [1.5, 1.6]


@pytest.mark.parametrize(("flag", "answered"), [(5, 4), (9, 8), (1, 0)])
def test_an_answer_is_of_the_edition_of_the_message(serve: Serve, flag: int, answered: int) -> None:
    station = serve()
    (answer,) = station.talk(uploaded(station.port, ("2011", {"a34002-Rtd": 5}, {"time": recently(), "flag": flag})))
    assert answer.flag == answered


def test_an_answer_of_2005_has_the_number_and_the_command_where_that_edition_looks_for_them(serve: Serve) -> None:
    station = serve()
    said = {"time": recently(), "flag": 1, "qn": "20260101000000007"}
    (answer,) = station.talk(uploaded(station.port, ("2011", {"a34002-Rtd": 5}, said)))
    assert [(field.name, field.text) for field in answer.fields] == [("QN", "20260101000000007"), ("CN", "2011")]
    assert answer.qn == "20260101000000007"


def test_a_repeat_is_answered_and_changes_nothing(serve: Serve) -> None:
    station, at = serve(), recently()
    again = ("2011", {"a34002-Rtd": 52.1}, {"time": at})
    answers = station.talk(uploaded(station.port, again, again, ("2011", {"a34002-Rtd": 60}, {"time": at})))
    assert [answer.cn for answer in answers] == ["9014"] * 3
    assert station.readings("pm10") == [(at, 52.1, "N")]
    assert station.ledger() == {
        "messages": 3, "received": 3, "stored": 1, "duplicate": 2, "conflict": 1, "rejected": 0, "late": 0,
    }  # fmt: skip


@pytest.mark.parametrize("variant", ["hj212", "modbus-high", "modbus-low"])
def test_the_check_sum_is_that_of_the_profile(serve: Serve, variant: Variant) -> None:
    station = serve({"more": f'obeys = false\ncrc = "{variant}"'})
    dialect = Dialect(crc=variant)
    messages = [("2011", {"a34002-Rtd": n + 1}, {"time": recently(n)}) for n in range(3)]
    answers = station.talk(uploaded(station.port, *messages, dialect=dialect))
    assert len(answers) == len(station.readings("pm10")) == 3


def test_a_wrong_check_sum_is_not_answered_and_not_stored(serve: Serve) -> None:
    station = serve()

    async def talk() -> Message:
        async with TcpLogger(station.port) as logger:
            sound = logger.frame(logger.message("2011", {"a34002-Rtd": 7}, time=recently()))
            logger.write_bytes(sound[:-6] + b"0000\r\n" + sound.replace(b"Rtd=7", b"Rtd=8"))
            return await logger.upload(logger.message("2011", {"a34002-Rtd": 9}, time=recently(4), qn="1" * 17))

    assert station.talk(talk()).qn == "1" * 17
    assert [value for _, value, _ in station.readings("pm10")] == [9]
    assert station.server.counters.damaged["crc"] == 2


def test_frames_without_line_ends_are_answered_too(serve: Serve) -> None:
    station = serve()

    async def talk() -> Message | None:
        async with TcpLogger(station.port) as logger:
            frame = logger.frame(logger.message("2011", {"a34002-Rtd": 7}, time=recently()))
            logger.write_bytes(frame.rstrip())
            return await logger.answer()

    assert station.talk(talk()) is not None
    assert station.server.counters.deviations["missing-line-feed"] == 1


def test_parts_of_a_split_message_are_stored_and_answered_each(serve: Serve) -> None:
    station, at = serve(), recently()

    async def talk() -> list[str | None]:
        async with TcpLogger(station.port) as logger:
            for part, values in enumerate([{"a34002-Rtd": 5}, {"LA-Rtd": 50}], start=1):
                frame = logger.frame(logger.message("2011", values, time=at, flag=7))
                head, cp = frame[6:-6].split(b"CP=", 1)
                segment = head + b"PNUM=2;PNO=%d;CP=" % part + cp
                logger.write_bytes(encode_frame(segment))
            return [(await logger.answer()).qn for _ in range(2)]

    assert len(set(station.talk(talk()))) == 2
    assert station.readings("pm10")[0][:2] == (at, 5.0)
    assert station.readings("laeq")[0][:2] == (at, 50.0)


def test_one_connection_may_carry_several_loggers(serve: Serve) -> None:
    station, at = serve({"loggers": 2, "more": "obeys = false"}), recently()

    async def talk() -> list[str | None]:
        async with TcpLogger(station.port) as line:
            other = TcpLogger(station.port, 1)
            return [(await line.upload(one.message("2011", {"a34002-Rtd": 7}, time=at))).mn for one in (line, other)]

    assert station.talk(talk()) == ["888880000000", "888880000001"]
    assert station.readings("pm10", 0) == station.readings("pm10", 1) == [(at, 7.0, "N")]


def test_real_time_data_beside_minute_data_that_is_read_is_answered_and_left(serve: Serve) -> None:
    station, at = serve({"more": 'obeys = false\nreadings_from = "2051"'}), recently()
    messages = [("2011", {"a34002-Rtd": 7}, {"time": at}), ("2051", {"a34002-Avg": 8, "a34002-Max": 9}, {"time": at})]
    answers = station.talk(uploaded(station.port, *messages))
    assert [answer.cn for answer in answers] == ["9014", "9014"]
    assert station.readings("pm10") == [(at, 8.0, "N")]
    assert station.rows(schema.reported) == station.rows(schema.rejection) == []


def test_an_unknown_mn_is_dropped_and_logged_and_the_connection_closed(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    station = serve()

    async def talk() -> Message | None:
        async with TcpLogger(station.port, number=99) as logger:
            logger.write(logger.message("2011", {"a34002-Rtd": 7}, time=recently()))
            return await logger.answer()

    assert station.talk(talk()) is None
    assert station.server.counters.strangers == 1
    assert station.ledger()["messages"] == 0
    told = capsys.readouterr()
    assert mn_of(99) in told.out + told.err
    assert PASSWORD not in told.out + told.err


def test_a_wrong_password_is_dropped_and_logged_without_it(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    station = serve()

    async def talk() -> Message | None:
        async with TcpLogger(station.port, password="gu3ssd") as logger:
            logger.write(logger.message("2011", {"a34002-Rtd": 7}, time=recently()))
            return await logger.answer()

    assert station.talk(talk()) is None
    assert station.server.counters.passwords == 1
    station.until(lambda: not station.server.counters.connections)
    told = capsys.readouterr()
    assert "wrong password" in told.out + told.err
    assert "gu3ssd" not in told.out + told.err
    assert PASSWORD not in told.out + told.err


def test_no_password_is_ever_in_the_record(serve: Serve) -> None:
    station = serve(hj212_frame_days=1)
    messages = [
        ("2011", {"a99999-Rtd": 7}, {"time": recently()}),
        ("3019", {}, {"fields": {"NewPW": "n3wpas"}}),
        ("3020", {}, {"fields": {"InfoId": "i11001", "PW": "n3wpas"}}),
    ]
    station.talk(uploaded(station.port, *messages))
    assert len(station.rows(schema.frame)) == 3
    held = b"".join(path.read_bytes() for path in station.settings.data.glob("record.sqlite*"))
    assert PASSWORD.encode() not in held
    assert b"n3wpas" not in held


def test_an_unknown_factor_and_a_missing_value_are_rejections_and_answered(serve: Serve) -> None:
    station = serve()
    values = {"a34002-Rtd": "--", "a99999-Rtd": 3, "LA-Rtd": 50}
    (answer,) = station.talk(uploaded(station.port, ("2011", values, {"time": recently()})))
    assert answer.cn == "9014"
    reasons = {row["reason"]: row for row in station.rows(schema.rejection)}
    assert set(reasons) == {"unknown-parameter", "null-without-flag"}
    assert {(row["site"], row["device"]) for row in reasons.values()} == {("pit", "logger-0")}
    ledger = station.ledger()
    assert (ledger["received"], ledger["stored"], ledger["rejected"]) == (3, 1, 2)


def test_ignored_factors_are_no_rejections(serve: Serve) -> None:
    station = serve({"more": 'obeys = false\nignored = ["a99999"]'})
    station.talk(uploaded(station.port, ("2011", {"a99999-Rtd": 3, "LA-Rtd": 50}, {"time": recently()})))
    assert station.ledger()["received"] == station.ledger()["stored"] == 1


def test_flags_are_kept_and_demanded_where_the_profile_promises_them(serve: Serve) -> None:
    station, at = serve({"more": "obeys = false", "flags": True}), recently()
    values = {"a34002-Rtd": "", "LA-Rtd": 50, "a01006-Rtd": 1000}
    station.talk(uploaded(station.port, ("2011", values, {"time": at, "flags": {"a34002": "D", "LA": "M"}})))
    assert [flag for _, _, flag in station.readings("pm10") + station.readings("laeq")] == ["D", "M"]
    assert [row["reason"] for row in station.rows(schema.rejection)] == ["missing-flag"]


@pytest.mark.parametrize(
    ("more", "message", "reason"),
    [
        ("version = 2025", {}, "wrong-version"),
        ('st = "32"', {}, "wrong-system"),
        ("", {"time": None}, "no-time"),
    ],
)
def test_what_contradicts_the_profile_is_rejected_with_its_reason_and_answered(
    serve: Serve, more: str, message: dict[str, Any], reason: str
) -> None:
    station = serve({"more": f"obeys = false\n{more}"})
    given = {"time": recently(), **message}
    (answer,) = station.talk(uploaded(station.port, ("2011", {"a34002-Rtd": 7, "LA-Rtd": 50}, given)))
    assert answer.cn == "9014"
    (row,) = station.rows(schema.rejection)
    assert (row["reason"], row["readings"]) == (reason, 2)


def test_a_clock_ahead_is_a_rejection(serve: Serve) -> None:
    station = serve()
    station.talk(uploaded(station.port, ("2011", {"a34002-Rtd": 7}, {"time": recently(-60)})))
    assert [row["reason"] for row in station.rows(schema.rejection)] == ["future"]


def test_milligrams_sent_as_micrograms_are_refused_from_the_first_frame(serve: Serve) -> None:
    station = serve()
    messages = [("2011", {"a34002-Rtd": 0.05 + n / 1000}, {"time": recently(9 - n)}) for n in range(5)]
    station.talk(uploaded(station.port, *messages))
    assert station.readings("pm10") == []
    rows = station.rows(schema.rejection)
    assert {row["reason"] for row in rows} == {"unit"}
    assert "mg/m3" in rows[0]["detail"]


def test_one_low_value_after_usual_ones_is_a_reading(serve: Serve) -> None:
    station = serve()
    sent = [20, 25, 0.2, 0, 22]
    messages = [("2011", {"a34002-Rtd": value}, {"time": recently(9 - n)}) for n, value in enumerate(sent)]
    station.talk(uploaded(station.port, *messages))
    assert [value for _, value, _ in station.readings("pm10")] == sent


def test_states_of_equipment_become_readings(serve: Serve) -> None:
    station, at = serve(), recently()
    states = [("2021", {"SB1-RS": state}, {"time": at + n * 1000}) for n, state in enumerate([1, 0, 3])]
    station.talk(uploaded(station.port, *states))
    found = station.readings("equipment-state")
    assert [value for _, value, _ in found][:2] == [1.0, 0.0]
    assert [flag for _, _, flag in found] == ["N", "N", "M"]


@pytest.mark.parametrize(("cn", "answer"), [("1013", "9013"), ("9015", "9013"), ("2081", "9014"), ("3019", "9014")])
def test_notices_and_information_are_answered_in_their_way_and_kept(serve: Serve, cn: str, answer: str) -> None:
    station = serve()
    (found,) = station.talk(uploaded(station.port, (cn, {"a34002-SN": "X1"}, {"fields": {"PolId": "a34002"}})))
    assert found.cn == answer
    (row,) = station.rows(schema.information)
    assert (row["site"], row["device"], row["command"]) == ("pit", "logger-0", cn)
    assert json.loads(row["content"]) == [["PolId", "a34002"], ["a34002-SN", "X1"]]


def test_frames_are_kept_for_as_long_as_the_setting_says(serve: Serve) -> None:
    station = serve(hj212_frame_days=2)
    station.talk(uploaded(station.port, ("2011", {"a34002-Rtd": 7}, {"time": recently()})))
    (row,) = station.rows(schema.frame)
    assert b"PW=***" in row["data"]
    assert len(row["sha256"]) == 32
    day = 86_400_000
    station.in_record(station.logger_record.look_after, row["received"] + 2 * day - 1000)
    assert station.rows(schema.frame)
    station.in_record(station.logger_record.look_after, row["received"] + 2 * day + 1000)
    assert not station.rows(schema.frame)


def test_a_record_that_refuses_is_tried_again_before_anything_is_answered(serve: Serve) -> None:
    station, at = serve(), recently()
    blocking = station.record.engine.raw_connection()
    blocking.cursor().execute("BEGIN IMMEDIATE")

    async def talk() -> Message:
        async with TcpLogger(station.port) as logger:
            logger.write(logger.message("2011", {"a34002-Rtd": 7}, time=at))
            with pytest.raises(TimeoutError):
                await logger.answer(0.5)
            blocking.rollback()
            answer = await logger.answer(20)
            assert answer is not None
            return answer

    assert station.talk(talk()).cn == "9014"
    blocking.close()
    assert station.readings("pm10") == [(at, 7.0, "N")]


def test_a_published_frame_with_other_factors_harms_nothing(serve: Serve) -> None:
    station = serve()

    async def talk() -> Message:
        async with TcpLogger(station.port) as logger:
            first = await logger.upload(logger.message("2011", {"a34002-Rtd": 7}, time=recently()))
            logger.write_bytes(DUST + b"##0005\r\n\x00\xff####12" + DUST[:40])
            await logger.upload(logger.message("2011", {"a34002-Rtd": 8}, time=recently(4)))
            return first

    station.talk(talk())
    assert len(station.readings("pm10")) == 2
    assert station.server.counters.strangers == 1


def test_a_logger_beyond_its_budget_is_answered_and_counted_and_not_taken(serve: Serve) -> None:
    station, at = serve(device_messages="2/d"), recently()
    messages = [("2011", {"a34002-Rtd": 5}, {"time": at + n * 1000}) for n in range(5)]
    assert len(station.talk(uploaded(station.port, *messages))) == 5
    assert len(station.readings("pm10")) == 2
    ledger = station.ledger()
    assert (ledger["messages"], ledger["received"], ledger["stored"], ledger["rejected"]) == (5, 5, 2, 3)
