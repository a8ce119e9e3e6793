from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from greenmine.cli.replay import replay
from greenmine.cli.simulate import simulate
from greenmine.simulators.clock import DAY_MS
from greenmine.simulators.mine import stream, truth
from greenmine.simulators.recording import read_recording
from greenmine.simulators.truth import Truth
from tests.simulators.broker_ear import listening, until

START = "2026-11-09T08:00:00+08:00"


def test_files_hold_the_messages_and_the_truth(tmp_path: Path, registry, sites, monday):
    simulate(start=START, days=1.0, seed=5, out=tmp_path / "new")
    messages = list(read_recording(tmp_path / "new" / "messages.jsonl"))
    assert messages == list(stream(registry, sites, 5, monday, monday + DAY_MS))
    assert Truth.read(tmp_path / "new" / "truth.json") == truth(registry, sites, 5, monday, monday + DAY_MS)


def test_a_line_of_the_file_is_what_the_documentation_says(tmp_path: Path):
    simulate(start=START, days=0.01, out=tmp_path, site=["kunyin"])
    line = msgspec.json.decode((tmp_path / "messages.jsonl").read_bytes().splitlines()[0])
    assert line.keys() == {"sent", "topic", "payload"}
    assert isinstance(line["payload"], str)


def test_the_broker_gets_the_chosen_site_with_its_presence(broker, registry, monday):
    with listening(broker.port) as ear:
        simulate(start=START, days=0.1, site=["kunyin"], no_faults=True, broker=f"127.0.0.1:{broker.port}")
        expected = list(stream(registry, ["kunyin"], 1, monday, monday + DAY_MS // 10, ()))
        until(lambda: len([1 for topic, _, _ in ear.heard if topic.endswith("/readings")]) == len(expected))
        devices = registry.site("kunyin").devices
        until(lambda: len(ear.heard) == len(expected) + 2 * len(devices))
    readings = [(topic, payload) for topic, payload, _ in ear.heard if topic.endswith("/readings")]
    assert readings == [(m.topic, m.payload) for m in expected]
    states = Counter(payload for topic, payload, _ in ear.heard if topic.endswith("/status"))
    assert states == {b"online": len(devices), b"offline": len(devices)}


def test_ctrl_c_ends_a_live_simulation_in_good_order(broker, tmp_path: Path):
    code = (
        "from greenmine.cli.simulate import simulate; "
        f"simulate(live=True, site=['jiuchi'], out=__import__('pathlib').Path({str(tmp_path)!r}), "
        f"broker='127.0.0.1:{broker.port}', start='2026-01-01T00:00+00:00', speed=600.0)"
    )
    with listening(broker.port) as ear:
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
        until(lambda: len(ear.heard) > 60, 30)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
        until(lambda: Counter(p for t, p, _ in ear.heard if t.endswith("/status"))[b"offline"] >= 8)
    assert (tmp_path / "truth.json").exists()


def test_a_killed_simulation_leaves_its_devices_offline_by_their_last_will(broker):
    code = (
        "from greenmine.cli.simulate import simulate; "
        f"simulate(live=True, site=['jiuchi'], broker='127.0.0.1:{broker.port}')"
    )
    with listening(broker.port, "greenmine/v1/+/+/status") as ear:
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        until(lambda: len(ear.heard) == 8, 30)
        process.kill()
        process.wait()
        until(lambda: len(ear.heard) == 16)
    assert Counter(payload for _, payload, _ in ear.heard) == {b"online": 8, b"offline": 8}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"site": ["nowhere"]}, "no site 'nowhere'; it has jiuchi"),
        ({"faults": "late,lightning"}, "'lightning' is no kind of fault; late, "),
        ({"faults": "late", "no_faults": True}, "exclude each other"),
        ({"start": "2026-11-09T08:00"}, "ISO 8601 with offset"),
        ({"start": "yesterday"}, "ISO 8601 with offset"),
        ({"days": 0.0}, "above 0"),
        ({"broker": "127.0.0.1:1", "days": 0.01}, "no MQTT broker answers at 127.0.0.1:1"),
        ({"broker": "here:there"}, "HOST:PORT"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(arguments, message):
    with pytest.raises(SystemExit, match=message):
        simulate(**arguments)


def test_replay_sends_a_csv_file_as_the_device(broker, tmp_path: Path, capsys):
    file = tmp_path / "logger.csv"
    rows = [f"2026-11-09 08:{minute:02d}:00;{50 + minute};{'' if minute == 7 else 40 + minute}" for minute in range(60)]
    file.write_text("time;PM10;dB\n" + "\n".join(rows) + "\n")
    with listening(broker.port) as ear:
        replay(
            file,
            site="kunyin",
            device="receptor-air-noise",
            map=["PM10=pm10", "dB=laeq"],
            zone="Asia/Shanghai",
            batch=20,
            broker=f"127.0.0.1:{broker.port}",
        )
        until(lambda: len(ear.heard) == 7)
    assert {topic for topic, _, _ in ear.heard} == {"greenmine/v1/kunyin/receptor-air-noise/readings"}
    bodies = [msgspec.json.decode(payload) for payload in ear.payloads()]
    values = [value for body in bodies for value in body["columns"].get("pm10", ())]
    assert sorted(values) == [50.0 + minute for minute in range(60)]
    assert sum(len(body["columns"].get("laeq", ())) for body in bodies) == 59
    assert bodies[0]["times"][0] == "2026-11-09T08:00:00+08:00"
    said = " ".join(capsys.readouterr().err.split())
    assert "119 readings; 1 rows without a number were skipped" in said


def test_replay_sends_what_simulate_wrote(broker, tmp_path: Path):
    simulate(start=START, days=0.05, site=["jiuchi"], out=tmp_path)
    expected = [(m.topic, m.payload) for m in read_recording(tmp_path / "messages.jsonl")]
    assert len(expected) > 300
    with listening(broker.port) as ear:
        replay(tmp_path / "messages.jsonl", broker=f"127.0.0.1:{broker.port}")
        until(lambda: len(ear.heard) == len(expected))
    assert [(topic, payload) for topic, payload, _ in ear.heard] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs --site and --device"),
        ({"site": "kunyin", "device": "weather", "map": ["PM10"]}, "there is no parameter"),
        ({"site": "kunyin", "device": "weather", "map": ["a=rain", "a=humidity"]}, "twice"),
        ({"site": "kunyin", "device": "weather", "map": ["wrong=rain"]}, "wrong"),
    ],
)
def test_replay_says_what_is_wrong(tmp_path: Path, arguments, message):
    file = tmp_path / "logger.csv"
    file.write_text("time,a\n2026-11-09 08:00:00,1\n2026-11-09 08:01:00,2\n")
    with pytest.raises(SystemExit, match=message):
        replay(file, **arguments)
