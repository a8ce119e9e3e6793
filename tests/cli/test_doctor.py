"""The doctor: a finding for each thing that is wrong, with a fix; none where all is well."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import msgspec
import pytest

from greenmine.cli.doctor import CHECKS, DoctorFinding, doctor
from greenmine.cli.init import init
from greenmine.cli.status import status
from greenmine.loading import load_registry
from greenmine.partitions import partitions_of
from greenmine.record import schema
from greenmine.record.log_positions import LogReader
from greenmine.record.partitions import settle_partitions
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.rows import LedgerRow, WorkerRow
from greenmine.record.sharing import worker_row
from greenmine.record.status import WorkerStatus
from greenmine.settings import Settings
from greenmine.times import local, now
from greenmine.wording.sentences import chinese_sentence


class House:
    """An installation without Docker whose worker has just said that it is well."""

    def __init__(self, folder: Path) -> None:
        init(folder, host=["localhost"], group=str(os.getgid()), without_docker=True)
        (folder / "data").mkdir(mode=0o750)
        self.folder = folder
        self.settings = Settings(
            data=folder / "data",
            broker_files=folder / "broker",
            secrets=folder / "secrets",
            registry=folder / "registry",
        )
        engine = open_engine(self.settings.record_place)
        migrate(engine)
        self.registry = load_registry(self.settings.registry)
        self.record = Record(engine, self.registry)
        self.say()

    def said(self, **changes: object) -> str:
        well = WorkerStatus(
            started=now() - 600_000, connected=True, broker="localhost:8883", messages=600, bytes=60_000, batches=1, connections=1,
            failures=0, retries=0, unacknowledged=0, last_message=0, commit_p50=None, commit_p99=None, registry="",
        )  # fmt: skip
        return msgspec.json.encode(msgspec.structs.replace(well, **changes)).decode()

    def say(self, *, ago: int = 0, **changes: object) -> None:
        said = self.said(**changes)
        with self.record.transaction() as connection:
            self.record.upsert(connection, schema.worker, [WorkerRow(name="worker", updated=now() - ago, status=said)])
        for file in self.settings.data.iterdir():
            file.chmod(0o640)

    def found(self, check: str) -> list[DoctorFinding]:
        return list(CHECKS[check](self.settings))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "house")


@pytest.mark.parametrize("check", [name for name in CHECKS if name not in {"fsync", "disk"}])
def test_nothing_is_found_where_all_is_well(house: House, check: str) -> None:
    assert house.found(check) == []


def only(found: list[DoctorFinding]) -> DoctorFinding:
    (one,) = found
    assert one.fix
    return one


def test_a_worker_that_is_away_or_unconnected_is_found(house: House) -> None:
    house.say(connected=False)
    assert "no connection" in only(house.found("worker")).what
    house.say(ago=60_000)
    said = re.search(r"has said nothing for (\d+) s", only(house.found("worker")).what)
    assert said is not None
    assert 60 <= int(said[1]) < 120


def test_each_of_several_workers_that_is_silent_and_a_partition_of_nobody_are_found(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_partitions(house.record.engine, 4)
    of = partitions_of(house.registry, 4)
    numbers = sorted({0, *of.values()})
    one, two = "east:1:a:b", "west:2:c:d"

    def has(owner: str, partitions: list[int], ago: int = 0) -> None:
        LogReader(house.record.engine, partitions, owner)
        with house.record.transaction() as connection:
            row = WorkerRow(name=worker_row(min(partitions)), updated=now() - ago, status=house.said())
            house.record.upsert(connection, schema.worker, [row])
            connection.execute(schema.member.delete().where(schema.member.c.name == owner))
            connection.execute(schema.member.insert().values(name=owner, beat=1, updated=now() - ago))

    def told() -> list[str]:
        found = house.found("worker")
        assert all(chinese_sentence(one.what) and chinese_sentence(one.fix) for one in found)
        return [finding.what for finding in found]

    listed = ", ".join(map(str, numbers[1:]))
    has(one, [0])
    assert told() == [f"nobody reads the partitions {listed}"]
    has(two, numbers[1:])
    assert told() == []
    has(two, numbers[1:], ago=60_000)  # the newest row is of the one that is well
    (what,) = told()
    assert re.fullmatch(f"the worker {two} told of itself last at .*, and has the partitions {listed}", what)
    for name in ("data", "registry"):
        monkeypatch.setenv(f"GREENMINE_{name.upper()}", str(getattr(house.settings, name)))
    with pytest.raises(SystemExit):
        status(format="json")
    workers = {told["worker"]: told for told in json.loads(capsys.readouterr().out)["workers"]}
    assert {name: told["running"] for name, told in workers.items()} == {one: True, two: False}
    assert [part["partition"] for part in workers[two]["partitions"]] == numbers[1:]
    with pytest.raises(SystemExit):
        status()
    assert "1 of 2 workers run and are connected" in capsys.readouterr().out.replace("\n", " ")
    has(one, numbers)
    (what,) = told()
    assert re.fullmatch(f"the worker {two} told of itself last at .*, and has no partition any more", what)


def test_a_queue_that_fills_within_an_hour_is_found(house: House) -> None:
    house.say(messages=600_000, bytes=60_000_000)
    assert "full 13 min after" in only(house.found("queue")).what


def test_a_queue_that_fills_and_a_broker_that_drops_are_found(house: House) -> None:
    house.say(queue=150_000_000, behind=True)
    assert "150 MB of messages wait at the broker, of at most 400" in only(house.found("queue")).what
    file = house.folder / "broker" / "mosquitto.conf"
    file.write_text(file.read_text().replace("max_queued_bytes 0", "max_queued_bytes 128000000"))
    assert "acknowledges and drops" in only(house.found("queue")).what


def test_a_broker_that_begins_without_the_collectors_session_is_found(house: House) -> None:
    (house.folder / "broker" / "start.sh").unlink()
    assert "before the worker's first connection" in only(house.found("queue")).what


def test_a_disk_that_will_soon_be_full_is_found(house: House) -> None:
    assert house.found("disk") == []
    counts = dict.fromkeys(LedgerRow._fields, 0) | {"site": "kunyin", "device": "boundary-dust", "stored": 10**11}
    row = LedgerRow(**counts | {"day": local(now(), "UTC").date().isoformat(), "sequence_last": -1})
    with house.record.transaction() as connection:
        house.record.insert(connection, schema.ledger, [row])
    assert "days at the most of a day" in only(house.found("disk")).what


def test_files_for_everybody_are_found(house: House) -> None:
    (house.folder / "secrets" / "grafana_secret_key").chmod(0o644)
    assert "grafana_secret_key" in only(house.found("permissions")).what


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"clock": 200_000}, "most devices are ahead of this machine by 3 min: its clock is behind"),
        ({"clock": 86_400_000, "doubted": True}, "readings are held until it is set"),
        ({"clock": -86_400_000}, "the newest readings of most devices are 24 h old"),
        ({"clock": -3_700_000}, ""),  # hours that were sent when they were over
    ],
)
def test_our_clock_is_doubted_where_most_devices_agree_with_each_other(
    house: House, said: dict[str, object], what: str
) -> None:
    house.say(**said)
    assert what in "".join(one.what for one in house.found("clock"))
    assert len(house.found("clock")) == bool(what)


def test_a_worker_that_ended_before_the_clock_was_set_back_is_no_running_one(house: House) -> None:
    house.say(ago=-3_600_000)
    assert "since this machine's clock was set back" in only(house.found("worker")).what


def test_files_that_the_services_may_not_write_are_found(house: House) -> None:
    data = house.settings.data
    os.chown(data, 65534, 65534)
    for file in data.iterdir():
        os.chown(file, 65534, 65534)
    assert house.found("permissions") == []
    os.chown(data / "record.sqlite", 0, 0)
    assert "1 files under" in only(house.found("permissions")).what
    (data / "record.sqlite").chmod(0o660)
    assert len(house.found("permissions")) == 1, "of another group"


def test_a_certificate_is_told_with_the_fix_for_it(house: House) -> None:
    (house.folder / "broker" / "server.crt").write_text("nonsense")
    assert "--renew-certificates" in only(house.found("certificates")).fix
    (house.folder / "authority" / "ca.crt").write_text("nonsense")
    found = house.found("certificates")
    assert [one.what.split(" ", 1)[1].split(":")[0] for one in found] == [
        "cannot be read", "is not of the authority " + str(house.folder / "authority" / "ca.crt") + ", by which devices know it",
        "cannot be read",
    ]  # fmt: skip
    assert "give every device the new ca.crt" in found[-1].fix


def test_findings_are_told_in_chinese(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        doctor(data=house.folder / "none", language="zh")
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"有误：{house.folder}/none 上还没有运行过 worker"
    assert told[1] == "    请启动 greenmine run，或用 --data 指定其他目录"


def test_a_damaged_record_and_registry_are_findings_and_no_tracebacks(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    next((house.folder / "registry" / "sites").glob("*.toml")).write_text("nonsense")
    monkeypatch.setenv("GREENMINE_REGISTRY", str(house.folder / "registry"))
    with pytest.raises(SystemExit) as end:
        doctor(data=house.settings.data, format="json")
    assert end.value.code == 1
    assert {"registry", "worker"} <= {finding["check"] for finding in json.loads(capsys.readouterr().out)}
