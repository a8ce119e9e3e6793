from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from greenmine.cli.device import app
from greenmine.registry import DEFAULT


class Done(NamedTuple):
    """How a run of the command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``greenmine device try``."""
    for name in [name for name in os.environ if name.startswith("GREENMINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str | Path, payload: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(payload)))
        with pytest.raises(SystemExit) as end:
            app(["try", *map(str, arguments)])
        out, err = capsys.readouterr()
        return Done(int(end.value.code or 0), out, err)

    return run


def shown(command: Run, *arguments: str | Path, payload: bytes) -> Any:
    done = command(*arguments, "--format", "json", payload=payload)
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_payload_is_shown_as_readings(command: Run) -> None:
    result = shown(command, "airrohr", payload=b'{"sensordatavalues":[{"value_type":"SDS_P1","value":"35.67"}]}')
    assert [(row["parameter"], row["value"], row["unit"], row["flag"]) for row in result["readings"]] == [
        ("pm10", 35.67, "ug/m3", "N")
    ]
    assert result["rejections"] == []


def test_a_rejection_is_shown_with_what_would_be_right(command: Run, tmp_path: Path) -> None:
    file = tmp_path / "payload.json"
    file.write_text('{"Time":"2026-11-22T10:00:00","PMS5003":{"PM10":1}}')
    done = command("tasmota", file)
    assert done.code == 0
    text = " ".join(done.out.replace("│", " ").split())
    assert "no-zone" in text
    assert 'say zone = "Asia/Shanghai"' in text


def test_a_topic_names_the_value(command: Run) -> None:
    result = shown(command, "esphome", "-", "--topic", "node/sensor/pm_2_5/state", payload=b"23.4\n")
    assert [(row["parameter"], row["value"]) for row in result["readings"]] == [("pm2.5", 23.4)]


def test_a_message_without_readings_is_told_from_a_rejection(command: Run) -> None:
    done = command("milesight-ws302", payload=b'{"data":"AXVk","time":"2026-11-22T10:00:00Z"}')
    assert "holds no readings" in done.out


@pytest.mark.parametrize(
    ("profile", "payload", "value"),
    [
        ("dust-mg-60s", b'{"v":1,"time":"2026-11-22T10:00:00","values":{"pm10":0.08},"flags":{}}', 80.0),
        ("thingsboard-60s", b'{"ts":1795312800000,"values":{"PM10":80}}', 80.0),
    ],
)
def test_a_profile_of_the_registry_in_any_format_can_be_tried(
    command: Run, profile: str, payload: bytes, value: float
) -> None:
    (row,) = shown(command, profile, "--registry", DEFAULT, payload=payload)["readings"]
    assert (row["time"], row["parameter"], row["value"]) == ("2026-11-22T02:00:00+00:00", "pm10", value)


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["tasmotta"], "there is no profile 'tasmotta'; nearest: 'tasmota'"),
        (["sparkplug-b"], "Sparkplug B is not supported"),
        (["ttn-v3"], '"ttn-v3" is a template'),
        (["esphome"], "say --topic, one of {address}/sensor/{name}/state"),
        (["esphome", "--topic", "x"], "'x' is no topic of the profile"),
        (["esphome", "--topic", "n/sensor/pm_20/state"], "no value with the name 'pm_20'; nearest: "),
        (["airgradient", "nowhere.json"], "nowhere.json cannot be read: No such file"),
        (["airgradient", "--registry", "nowhere"], "nowhere is not a directory"),
    ],
)
def test_what_cannot_be_tried_is_told(command: Run, arguments: list[str], wrong: str) -> None:
    done = command(*arguments)
    assert done.code == 1
    assert wrong in done.err
    assert done.out == ""
