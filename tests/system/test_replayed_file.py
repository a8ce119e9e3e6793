"""A logger's file through ``greenmine replay``, real Mosquitto and the worker into the record."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from greenmine.loading import load_registry
from greenmine.settings import Settings
from tests.records import record_in
from tests.system.running import COMMAND, PATIENCE, Environment, RestartableBroker, Worker
from tests.system.stored import Stored

MIDNIGHT = 1_763_308_800_000  # 2025-11-17T00:00+08:00
DAY = 86_400_000
DEVICE = ("--site", "kunyin", "--device", "receptor-air-noise", "--zone", "Asia/Shanghai")


def log(folder: Path) -> Path:
    """A day of readings every minute in milligrams, date and clock apart, stamped by the end of their intervals."""
    rows = [f"17/11/2025;{i // 60:02}:{i % 60:02};0,0{20 + i % 10}" for i in range(1, 1440)]
    path = folder / "gate.csv"
    path.write_text("Datum;Period ending;PM10 [mg/m3]\n" + "\n".join(rows) + "\n18/11/2025;00:00;0,020\n")
    return path


def replay(file: Path, port: int, environment: Environment, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "replay", file, *DEVICE, "--broker", f"127.0.0.1:{port}", *more],
        env=environment.variables({}), capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_a_day_of_a_file_is_stored_in_its_unit_and_finished(
    brokers: type[RestartableBroker], environment: Environment, tmp_path: Path
) -> None:
    with brokers(tmp_path / "broker") as broker, Worker(tmp_path, broker.port) as worker:
        worker.await_connection()
        done = replay(
            log(tmp_path), broker.port, environment, "--map", "pm10", "--finish", "--time", "Datum,Period ending"
        )
        assert done.returncode == 0, done.stderr
        assert "1440 readings" in done.stderr
        worker.await_all(lambda: worker.count("received"), 1441)
        worker.stop()
    stored = Stored(record_in(tmp_path), load_registry(Settings().registry))
    key = next(key for key in stored.blocks if key.startswith("kunyin/") and key.endswith("/pm10"))
    assert stored.ledger["rejected"] == 0
    end, mean, low, high, count, *_ = stored.statistics[key, "day", MIDNIGHT]
    assert (end, count) == (MIDNIGHT + DAY, 1440)
    assert (low, high) == (20, 29)
    assert mean == pytest.approx(sum(20 + i % 10 for i in range(1, 1441)) / 1440, abs=0.05)


def test_what_analyse_refuses_is_not_sent(environment: Environment, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("Time,DO (%)\n2025-11-17 07:00,90\n2025-11-17 07:05,91\n")
    done = replay(path, 1, environment, "--map", "DO (%)=do")
    assert done.returncode != 0
    assert "cannot be converted to mg/L" in done.stderr
