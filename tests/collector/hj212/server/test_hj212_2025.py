"""HJ 212-2025 at the server, and loggers that depart from the standard: encryption, equipment, several stations, no PW."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from greenmine.collector.hj212.dialect import Dialect
from greenmine.collector.hj212.message import Message
from greenmine.collector.hj212.sm4 import Sm4Key
from greenmine.record import schema
from tests.collector.hj212.hj212_station import Station
from tests.collector.hj212.server.test_hj212_server import MINUTE, Serve, recently, uploaded
from tests.loggers import PROFILE, TcpLogger, logger_device, mn_of
from tests.pit import write_pit

OLD, NEW = "000102030405060708090a0b0c0d0e0f", "fedcba98765432100123456789abcdef"
VALUES = {"a34002-Rtd": 52.1, "LA-Rtd": 50.5, "a01006-Rtd": 1002}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"{mn_of(0)} = {OLD}\n")
    return path


async def unanswered(port: int, cn: str, values: dict[str, Any] | None = None, **more: Any) -> None:
    """Send a message that wants an answer, then one that gets it: what comes is the answer of the second."""
    options = {name: more.pop(name) for name in ("key", "password") if name in more}
    async with TcpLogger(port, **options) as logger:
        logger.write(logger.message(cn, values, **more))
        logger.key = Sm4Key(OLD) if logger.key is not None else None
        last = logger.message("9015", flag=9)
        logger.write(last)
        answer = await logger.answer()
        assert answer is not None
        assert answer.qn == last.qn


@pytest.mark.parametrize("plain_length", [True, False])
def test_encrypted_data_is_stored_and_answered(serve: Serve, keys: Path, plain_length: bool) -> None:
    station, at = serve({"more": "obeys = false\nversion = 2025"}, hj212_sm4_keys=keys), recently()
    (answer,) = station.talk(
        uploaded(
            station.port,
            ("2011", VALUES, {"time": at, "flag": 9}),
            key=Sm4Key(OLD),
            dialect=Dialect(plain_length=plain_length),
        )
    )
    assert (answer.cn, answer.flag) == ("9014", 8)
    assert station.readings("pm10") == [(at, 52.1, "N")]
    assert station.server.counters.deviations["plain-length"] == plain_length


def test_a_new_key_is_taken_up_without_a_restart_and_the_old_one_goes(serve: Serve, keys: Path) -> None:
    station, at = serve({"more": "obeys = false"}, hj212_sm4_keys=keys), recently()
    station.talk(uploaded(station.port, ("2011", VALUES, {"time": at}), key=Sm4Key(OLD)))
    station.talk(unanswered(station.port, "2011", VALUES, time=at + MINUTE, key=Sm4Key(NEW)))
    keys.write_text(f"{mn_of(0)} = {OLD}\n{mn_of(0)} = {NEW}\n")
    time.sleep(1.1)  # the file is looked at once a second
    for number, key in enumerate((NEW, OLD), start=1):
        station.talk(uploaded(station.port, ("2011", VALUES, {"time": at + number * MINUTE}), key=Sm4Key(key)))
    assert [time for time, *_ in station.readings("pm10")] == [at, at + MINUTE, at + 2 * MINUTE]
    assert station.server.counters.keyless == 1


def test_requests_are_encrypted_with_the_key_that_the_logger_uses(serve: Serve, keys: Path) -> None:
    keys.write_text(f"{mn_of(0)} = {OLD}\n{mn_of(0)} = {NEW}\n")
    station, at = serve({"parameters": ["pm10"]}, hj212_sm4_keys=keys, hj212_catchup_seconds=0.2), recently(60)

    async def talk() -> list[Message]:
        async with TcpLogger(station.port, key=Sm4Key(OLD)) as logger:
            logger.history = {"2051": [], "2061": []}
            await logger.upload(logger.message("2011", VALUES, time=at))
            await logger.upload(logger.message("2011", VALUES, time=at + 50 * MINUTE))
            await asyncio.to_thread(station.until, lambda: any(request.cn == "2051" for request in logger.requests))
            return logger.requests

    (asked, *_) = [request for request in station.talk(talk()) if request.cn == "2051"]
    assert {field.name for field in asked.fields} == {"BeginTime", "EndTime"}


def test_without_its_key_a_frame_is_neither_stored_nor_answered(
    serve: Serve, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    station = serve({"more": "obeys = false"}, hj212_sm4_keys=keys, hj212_frame_days=1)
    station.talk(unanswered(station.port, "2011", VALUES, time=recently(), key=Sm4Key(NEW)))
    assert station.readings("pm10") == []
    assert (station.server.counters.keyless, station.server.counters.damaged["key"]) == (1, 1)
    told = capsys.readouterr()
    assert "none of the keys of this device fits" in told.out + told.err
    held = b"".join(path.read_bytes() for path in station.settings.data.glob("record.sqlite*"))
    for key in (OLD, NEW):
        assert key not in told.out + told.err
        assert key.encode() not in held


def test_plain_data_of_a_logger_that_has_a_key_is_a_deviation(serve: Serve, keys: Path) -> None:
    station = serve({"more": "obeys = false"}, hj212_sm4_keys=keys)
    station.talk(uploaded(station.port, ("2011", VALUES, {"time": recently()})))
    assert station.server.counters.deviations["not-encrypted"] == 1


def test_a_key_of_nobody_or_a_wrong_one_ends_the_start(serve: Serve, keys: Path) -> None:
    keys.write_text(f"STRANGER = {OLD}\n")
    with pytest.raises(ValueError, match="no device of the registry has the MN STRANGER"):
        serve(hj212_sm4_keys=keys)


@pytest.mark.parametrize(
    ("code", "text", "state"),
    [
        ("SB1", "1", 1.0),
        ("p99101", "St", 1.0),
        ("p99101", "Sp", 0.0),
        ("d20405", "0.24", 0.0),
        ("d20405", "12.5", 1.0),
        ("p99101", "??", None),
        ("d99999", "220.2", None),
    ],
)
def test_electricity_and_working_conditions_are_states_of_equipment(
    serve: Serve, code: str, text: str, state: float | None
) -> None:
    more = 'obeys = false\nst = ""\nstates = { St = "on", N = "on", Sp = "off" }\non_above = { d20405 = 1.5 }'
    station = serve({"more": more, "fields": {code: "equipment-state"}})
    at = recently()
    values = {f"{code}-Rtd": text}
    station.talk(uploaded(station.port, ("2011", values, {"time": at, "st": "45", "flag": 9, "flags": {code: "N"}})))
    assert station.readings("equipment-state") == ([] if state is None else [(at, state, "N")])
    assert station.ledger()["rejected"] == (state is None)


def test_codes_in_capitals_are_the_same_factors(serve: Serve) -> None:
    station, at = serve({"more": "obeys = false"}), recently()
    station.talk(uploaded(station.port, ("2011", {"A34002-Rtd": 52.1, "la-RTD": 50.5}, {"time": at})))
    assert (station.readings("pm10"), station.readings("laeq")) == ([(at, 52.1, "N")], [(at, 50.5, "N")])
    assert station.server.counters.deviations["name-case"] == 1


def test_single_commands_may_have_another_check_sum(serve: Serve) -> None:
    station, at = serve({"more": 'obeys = false\ncrc_of = { 2051 = "modbus-low" }'}), recently()
    dialect = Dialect(crc_of=(("2051", "modbus-low"),))
    answers = station.talk(
        uploaded(
            station.port,
            ("2011", VALUES, {"time": at}),
            ("2051", {"a34002-Avg": 50}, {"time": at}),
            dialect=dialect,
        )
    )
    assert [answer.cn for answer in answers] == ["9014", "9014"]
    assert station.server.counters.damaged == {}


@pytest.mark.parametrize(("networks", "admitted"), [("127.0.0.0/8, ::1", True), ("10.0.0.0/8", False)])
def test_a_logger_without_a_password_is_admitted_by_its_address(
    serve: Serve,
    tmp_path: Path,
    networks: str,
    admitted: bool,
) -> None:
    path = tmp_path / "addresses"
    path.write_text(f"{mn_of(0)} = {networks}\n")
    station, at = serve({"more": "obeys = false"}, hj212_addresses=path), recently()

    async def talk() -> Message | None:
        async with TcpLogger(station.port, password=None) as logger:
            logger.write(logger.message("2011", VALUES, time=at))
            return await logger.answer()

    answer = station.talk(talk())
    assert (answer is not None) == admitted == bool(station.readings("pm10"))
    assert answer is None or answer.password is None
    assert station.server.counters.passwords == (not admitted)


def test_without_the_setting_a_missing_password_is_wrong(serve: Serve) -> None:
    station = serve({"more": "obeys = false"})

    async def talk() -> Message | None:
        async with TcpLogger(station.port, password=None) as logger:
            logger.write(logger.message("2011", VALUES, time=recently()))
            return await logger.answer()

    assert station.talk(talk()) is None
    assert station.readings("pm10") == []


def test_a_flag_inside_cp_is_that_of_the_header(serve: Serve) -> None:
    station, at = serve({"more": "obeys = false\nversion = 2017"}), recently()

    async def talk() -> Message | None:
        async with TcpLogger(station.port) as logger:
            message = logger.message("2011", VALUES, time=at)
            frame = logger.frame(message)
            segment = frame[6:-6].replace(b"Flag=5;", b"").replace(b"&&DataTime", b"&&Flag=5;DataTime")
            logger.write_bytes(b"##%04d%s%s\r\n" % (len(segment), segment, Dialect().checksum(segment).encode()))
            return await logger.answer()

    answer = station.talk(talk())
    assert answer is not None
    assert answer.cn == "9014"
    assert station.readings("pm10") == [(at, 52.1, "N")]
    assert station.server.counters.deviations["flag-in-cp"] == 1


@pytest.mark.parametrize("command", ["2099", "1000", "1014", "3021"])
def test_what_is_not_understood_is_kept_and_not_answered(serve: Serve, command: str) -> None:
    station = serve({"more": "obeys = false"})
    station.talk(unanswered(station.port, command, fields={"Whatever": "1"}))
    station.until(lambda: station.server.counters.misunderstood == 1)
    assert command in [row["command"] for row in station.rows(schema.information)]


def several(folder: Path, first: str, second: str) -> Path:
    """A registry of two devices with one MN, each with a profile of its own."""
    devices = [logger_device(number, mn_of(0), ["pm10"], f"logger-{number}") for number in range(2)]
    profiles = []
    for number, (more, fields) in enumerate(part.split("|") for part in (first, second)):
        text = PROFILE.format(interval="60s", flags="false", more=f"obeys = false\n{more}")
        text = text.replace('id = "logger"', f'id = "logger-{number}"')
        profiles.append(text.replace('LA = "laeq"\nSB1 = "equipment-state"', fields))
    return write_pit(folder, "".join(profiles), devices)


def test_one_logger_may_speak_for_several_stations(tmp_path: Path) -> None:
    several(tmp_path / "registry", '|a34002 = "pm10"', '|a34102 = "pm10"')
    at = recently()
    with Station(tmp_path, {}, {}) as station:
        values = {"a34002-Rtd": 52.1, "a34102-Rtd": 40.5, "a99999-Rtd": 1}
        (answer,) = station.talk(uploaded(station.port, ("2011", values, {"time": at})))
        assert answer.cn == "9014"
        assert station.readings("pm10", 0) == [(at, 52.1, "N")]
        assert station.readings("pm10", 1) == [(at, 40.5, "N")]
        ledger = {
            row["device"]: (row["received"], row["stored"], row["rejected"]) for row in station.rows(schema.ledger)
        }
        assert ledger == {"logger-0": (2, 1, 1), "logger-1": (1, 1, 0)}


def test_stations_of_one_logger_may_be_told_apart_by_st(tmp_path: Path) -> None:
    several(tmp_path / "registry", 'st = "39"|a34002 = "pm10"', 'st = "22"|a34002 = "pm10"')
    at = recently()
    with Station(tmp_path, {}, {}) as station:
        messages = [
            ("2011", {"a34002-Rtd": value}, {"time": at, "st": st}) for value, st in ((52.1, "39"), (40.5, "22"))
        ]
        station.talk(uploaded(station.port, *messages))
        assert station.readings("pm10", 0) == [(at, 52.1, "N")]
        assert station.readings("pm10", 1) == [(at, 40.5, "N")]


def test_stations_of_one_logger_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    several(tmp_path / "registry", '|a34002 = "pm10"', '|a34002 = "pm10"')
    with pytest.raises(ValueError, match="both have the factor a34002; say which is whose"):
        Station(tmp_path, {}, {})
