"""Readings of sealed days leave the record, and nothing else notices."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.evidence.bundle import Installation, build
from greenmine.grafana.influx.feed import Feed
from greenmine.loading import load_registry
from greenmine.processing.rolling import hourly_statistics
from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.archive.archive import Archive, head_of, seal, verify
from greenmine.record.archive.chain import ChainError
from greenmine.record.archive.pruning import Pruned, prune
from greenmine.record.archive.signing import SigningKey
from greenmine.record.archive.tree import newest
from greenmine.record.blocks import COLUMNS, Blocks
from greenmine.record.bucket_cursors import Cursor
from greenmine.record.follower import heads
from greenmine.record.hour_blocks import merge
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.reporting import Period
from greenmine.settings import Settings
from tests.api.serving import serving
from tests.api.signing import bearer, token_for
from tests.processing.mine import DAY, HOUR, MINUTE, at, batch_of, channel, feed, readings, registry_of
from tests.processing.streams import stream
from tests.record.killed import killed_after
from tests.records import record_in
from tests.system.running import COMMAND, Environment

FIRST = at("2026-03-02T00:00")
DAYS = 4
NOW = FIRST + (DAYS + 3) * DAY
FROM, TO = "2026-03-03T00:00:00%2B08:00", "2026-03-05T12:00:00%2B08:00"
PERIOD = Period("2026-03-03..2026-03-04", date(2026, 3, 3), date(2026, 3, 4))
ANSWERS = [
    f"/api/v1/readings?channel=mine/homes/pm10&from={FROM}&to={TO}&size=5000",
    f"/api/v1/readings?channel=mine/homes/pm10&from={FROM}&to={TO}&size=700&cursor=1772500000000",
    f"/api/v1/readings?site=mine&from={FROM}&to={TO}&format=csv",
    f"/api/v1/readings?site=mine&station=fence&from={FROM}&to={TO}&format=parquet",
    f"/api/v1/statistics?channel=mine/fence/laeq&window=15min&every=5min&from={FROM}&to={TO}",
    f"/api/v1/chart?channel=mine/fence/laeq&from={FROM}&to={TO}",
    "/api/v1/explanation?rule=mine/fence/gb12348-class2-day&start=2026-03-04T06:00:00%2B08:00",
    "/api/v1/latest",
    "/api/v1/late",
    "/sites/mine/stations/fence/charts/laeq?from=2026-03-03T00:00&to=2026-03-05T00:00",
]


class Plant:
    """An installation with some days of a mine, all but the last of them sealed, one with an addendum."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data=folder, registry=folder / "registry")
        self.registry: Registry = load_registry(folder / "registry")
        self.engine = open_engine(self.settings.record_place)
        self.key = SigningKey(self.settings.keys)
        self.archive = Archive(self.settings.archive_place)

    def pipeline(self) -> Pipeline:
        return Pipeline(self.registry, Record(self.engine, self.registry, self.settings.archive_place), now=NOW)

    def seal(self, now: int = NOW) -> None:
        list(seal(self.engine, self.registry.sites, self.archive, self.key, now, DAY))

    def prune(self, days: int = 2) -> list[Pruned]:
        place, public = self.settings.archive_place, self.key.public
        return list(prune(self.engine, self.registry, place, public, NOW, days, self.registry.sites))

    def merge(self) -> int:
        """Make hour blocks; how many blocks fewer there are."""
        with self.engine.connect() as connection:
            root = newest(connection, "mine")
        assert root is not None
        return sum(merge(self.engine, "mine", root.through.block, NOW, everything=True))

    def held(self) -> dict[str, int]:
        """Blocks with content by local day."""
        block = schema.reading_block.c
        with self.engine.connect() as connection:
            hours = connection.scalars(sa.select(block.hour).where(sa.func.length(block.data) > 0)).all()
        days, counts = np.unique(np.array(hours) * HOUR - FIRST, return_counts=True)
        found: dict[str, int] = {}
        for day, count in zip((days // DAY).tolist(), counts.tolist(), strict=True):
            found[f"2026-03-{2 + day:02d}"] = found.get(f"2026-03-{2 + day:02d}", 0) + count
        return found

    def contents(self) -> list[bytes]:
        blocks = Blocks(self.registry, self.settings.archive_place)
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(*COLUMNS).order_by(schema.reading_block.c.id)).all()
            return [blocks.data(connection, row) for row in rows]

    def answers(self, paths: Sequence[str] = ANSWERS) -> list[tuple[int, bytes]]:
        """What a server says that has just been started, so that it remembers nothing."""
        headers = bearer(token_for(self.settings.data))
        with (
            serving(self.settings.data, self.registry) as address,
            httpx.Client(base_url=address, headers=headers, timeout=60) as client,
        ):
            return [((answer := client.get(path)).status_code, answer.content) for path in paths]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plant")
    registry_of(folder / "registry")
    migrate(open_engine(record_in(folder)))
    plant = Plant(folder)
    pipeline = plant.pipeline()
    whole = stream(plant.registry, np.random.default_rng(5), FIRST, FIRST + DAYS * DAY)
    edges = [
        FIRST + n * 4 * HOUR + m * 20 * MINUTE for n in range(DAYS * 6) for m in range(3)
    ]  # some hours in three blocks
    edges.append(FIRST + DAYS * DAY)
    feed(pipeline, [whole.take((whole.time >= a) & (whole.time < b)) for a, b in pairwise(edges)])
    plant.seal(FIRST + 5 * DAY + HOUR)
    late = readings(channel(plant.registry, "mine/homes/pm10"), [FIRST + 4 * DAY - 30 * MINUTE - 1], [float("nan")])
    pipeline.commit(batch_of(plant.registry, late), FIRST + 6 * DAY)
    plant.seal()
    plant.engine.dispose()
    return folder


@pytest.fixture
def plant(furnished: Path, tmp_path: Path) -> Iterator[Plant]:
    shutil.copytree(furnished, tmp_path, dirs_exist_ok=True)
    made = Plant(tmp_path)
    yield made
    made.engine.dispose()


def test_every_answer_is_the_same_byte_for_byte(plant: Plant) -> None:
    before, held = plant.answers(), plant.held()
    assert [status for status, _ in before] == [200] * len(before)
    pruned = plant.prune()
    assert sorted(held) == [f"2026-03-0{n}" for n in range(2, 6)]
    assert [(found.day, found.kept) for found in pruned] == [(f"2026-03-0{n}", 0) for n in range(2, 6)]
    assert plant.held() == {}, "even of the newest block only the content leaves"
    assert plant.answers() == before
    assert plant.prune() == []


def test_blocks_of_an_hour_change_no_answer_and_leave_as_a_whole(plant: Plant) -> None:
    before, many = plant.answers(), sum(plant.held().values())
    fewer = plant.merge()
    assert fewer > many / 4
    assert sum(plant.held().values()) == many - fewer
    assert plant.answers() == before
    assert [found.kept for found in plant.prune()] == [0] * DAYS
    assert plant.held() == {}
    assert plant.answers() == before
    assert plant.merge() == 0


def test_only_days_that_are_sealed_and_old_enough_leave(plant: Plant) -> None:
    held = plant.held()
    assert [found.day for found in plant.prune(days=5)] == ["2026-03-02", "2026-03-03"]
    assert plant.held() == {day: count for day, count in held.items() if day > "2026-03-03"}
    (plant.settings.data / "archive/mine/chain").rename(plant.settings.data / "elsewhere")
    assert plant.prune() == []


def test_processing_goes_on_as_if_all_were_there(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A mark, repeats and conflicts of pruned days, readings too late, and a restart."""
    other = tmp_path_factory.mktemp("whole")
    shutil.copytree(plant.settings.data, other, dirs_exist_ok=True)
    whole = Plant(other)
    plant.prune()
    for one in (plant, whole):
        record = Record(one.engine, one.registry, one.settings.archive_place)
        pipeline = Pipeline(one.registry, record, now=NOW)
        stored = record.readings(channel(one.registry, "mine/homes/pm10"), FIRST + DAY, FIRST + DAY + HOUR)
        again = Readings(
            np.full(len(stored), channel(one.registry, "mine/homes/pm10"), np.int32),
            stored["time"],
            np.where(np.arange(len(stored)) % 3 == 0, stored["value"] + 1, stored["value"]),
            stored["flag"],
        )
        pipeline.commit(batch_of(one.registry, again), NOW)
        pipeline.mark("mine", "fence", None, (FIRST + DAY, FIRST + DAY + 9 * HOUR), "fault", "broken", "li", NOW)
    tables = ("statistic", "verdict", "exceedance", "sliding_hour", "ledger", "conflict", "late", "mark")
    contents = [[_rows(one.engine, name) for name in tables] for one in (plant, whole)]
    assert contents[0] == contents[1]
    assert len(contents[0][5]) == 20, "a third of the repeats have another value"
    whole.engine.dispose()


def test_the_projection_and_evidence_are_the_same(plant: Plant, tmp_path: Path) -> None:
    here = Installation(plant.engine, plant.registry, plant.settings.registry, plant.archive, plant.key, DAY)

    def lines() -> list[str]:
        ends = heads(plant.engine)
        blocks = Blocks(plant.registry, plant.settings.archive_place)
        made = Feed(plant.registry, plant.engine, Cursor("raw"), None, hourly_statistics, 500, lambda: 0, {}, blocks)
        parts = [part for portion in made.portions(ends) for part in portion.of(None)]
        return [line for part in parts for lines in part.lines.values() for line in lines]

    def bundle() -> bytes:
        build(here, "mine", PERIOD, tmp_path / "bundle.zip", NOW)
        return (tmp_path / "bundle.zip").read_bytes()

    before = lines(), bundle()
    assert plant.merge() > 0
    ordered = lines()
    assert (set(ordered), bundle()) == (set(before[0]), before[1])
    assert len(plant.prune()) == DAYS
    assert (lines(), bundle()) == (ordered, before[1])
    assert verify(plant.archive, "mine", plant.key.public, head_of(plant.engine, "mine")) == []


def test_nothing_leaves_of_a_day_whose_file_was_changed(plant: Plant) -> None:
    before = plant.held()
    path = plant.settings.data / "archive/mine/2026-03-04.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ChainError, match=r"2026-03-04\.parquet"):
        plant.prune()
    assert {day: count for day, count in before.items() if day >= "2026-03-04"} == plant.held()


def test_a_block_that_the_archive_does_not_give_back_stays(plant: Plant) -> None:
    block = schema.reading_block
    with plant.engine.begin() as connection:
        number, data = connection.execute(sa.select(block.c.id, block.c.data).limit(1)).one()
        changed = data[:8] + bytes(8) + data[16:]
        connection.execute(sa.update(block).where(block.c.id == number).values(data=changed))
    first = plant.prune()[0]
    assert (first.day, first.kept) == ("2026-03-02", len(data) // 18)
    assert plant.held() == {"2026-03-02": 1}


def test_a_missing_archive_is_told_and_hides_nothing_else(plant: Plant) -> None:
    plant.prune()
    (plant.settings.data / "archive").rename(plant.settings.data / "elsewhere")
    assert [status for status, _ in plant.answers([ANSWERS[0], "/api/v1/late"])] == [503, 200]


def test_pruning_that_is_killed_loses_nothing(plant: Plant, environment: Environment) -> None:
    before = plant.contents()
    variables = environment.variables({"data": plant.settings.data, "registry": plant.settings.registry})
    command = [str(COMMAND), "archive", "prune", "--days", "2"]
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline().startswith("mine  2026-03-02")
        killed.kill()
    assert plant.contents() == before
    assert [found.kept for found in plant.prune() if found.kept] == []
    assert plant.held() == {}
    assert plant.contents() == before


@pytest.mark.parametrize("statement", ["DELETE FROM reading_block", "INSERT INTO reading_block"])
def test_a_kill_within_the_transaction_of_a_day_loses_nothing(plant: Plant, statement: str) -> None:
    before, held = plant.contents(), plant.held()
    plant.engine.dispose()
    place, public = plant.settings.archive_place, plant.key.public
    killed_after(
        plant.settings.record_place,
        statement,
        lambda engine: list(prune(engine, plant.registry, place, public, NOW, 2, plant.registry.sites)),
    )
    assert (plant.contents(), plant.held()) == (before, held)
    assert len(plant.prune()) == DAYS
    assert plant.contents() == before


def _rows(engine: sa.Engine, table: str) -> list[Any]:
    columns = [c for c in schema.metadata.tables[table].c if c.name not in {"serial", "issued"}]
    with engine.connect() as connection:
        return sorted(map(repr, connection.execute(sa.select(*columns))))
