"""The archive: what is sealed, what is added later, and what is noticed when somebody changes it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from msgspec import structs

from greenmine.batch import Rejection
from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.archive.archive import Archive, head_of, seal, verify
from greenmine.record.archive.chain import ChainError, Entry
from greenmine.record.archive.signing import PublicKey, SigningKey
from greenmine.record.record import Record
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import DAY, HOUR, MINUTE, at, batch_of, channel, every, readings, record_at, registry_of
from tests.records import record_in

FIRST = at("2026-03-02T00:00")
LATENESS = DAY


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return registry_of(tmp_path_factory.mktemp("registry"))


@pytest.fixture
def record(tmp_path: Path, registry: Registry) -> Record:
    return record_at(record_in(tmp_path), registry)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey(tmp_path / "keys")


def day_of(registry: Registry, number: int, step: int = MINUTE) -> Readings:
    """A day of two channels, without its last reading."""
    start = FIRST + number * DAY
    times = every(start, start + DAY, step)[:-1]
    parts = [
        readings(channel(registry, f"mine/{c}"), times, 40 + times % 7 + i)
        for i, c in enumerate(("homes/pm10", "fence/laeq"))
    ]
    return Readings(*(np.concatenate([getattr(p, f) for p in parts]) for f in ("channel", "time", "value", "flag")))


@pytest.fixture
def pipeline(registry: Registry, record: Record) -> Pipeline:
    """Three days are in."""
    made = Pipeline(registry, record)
    for number in range(3):
        made.commit(batch_of(registry, day_of(registry, number)), FIRST + (number + 1) * DAY)
    return made


def sealed(record: Record, registry: Registry, archive: Archive, key: SigningKey, now: int) -> list[Entry]:
    return list(seal(record.engine, registry.sites, archive, key, now, LATENESS))


def clean(record: Record, archive: Archive, key: SigningKey) -> bool:
    return verify(archive, "mine", key.public, head_of(record.engine, "mine")) == []


@pytest.mark.usefixtures("pipeline")
def test_a_day_is_sealed_when_its_lateness_has_passed(
    registry: Registry, record: Record, archive: Archive, key: SigningKey
) -> None:
    assert sealed(record, registry, archive, key, FIRST + 2 * DAY - 1) == []
    [first] = sealed(record, registry, archive, key, FIRST + 2 * DAY)
    assert (first.day, first.part, first.rows["reading"]) == ("2026-03-02", 0, 2 * 1439)
    assert [entry.day for entry in sealed(record, registry, archive, key, FIRST + 5 * DAY)] == [
        "2026-03-03",
        "2026-03-04",
    ]
    assert sealed(record, registry, archive, key, FIRST + 9 * DAY) == []
    assert clean(record, archive, key)


@pytest.mark.usefixtures("pipeline")
def test_a_sealed_day_holds_what_the_record_holds(
    registry: Registry, record: Record, archive: Archive, key: SigningKey
) -> None:
    for entry in sealed(record, registry, archive, key, FIRST + 5 * DAY):
        rows = archive.table("mine", entry)
        start = at(f"{entry.day}T00:00")
        for name in ("homes/pm10", "fence/laeq"):
            stored = record.readings(channel(registry, f"mine/{name}"), start, start + DAY)
            mine = rows.filter(np.array(rows["channel"].to_pylist()) == f"mine/{name}")
            assert np.array_equal(mine["time"].cast("int64").to_numpy(), stored["time"])
            assert np.array_equal(mine["value"].to_numpy(), stored["value"])
            assert [ord(flag) for flag in mine["flag"].to_pylist()] == stored["flag"].tolist()
            assert mine["quality"].to_pylist() == stored["quality"].tolist()


def test_what_comes_later_is_added_and_nothing_is_edited(
    pipeline: Pipeline, registry: Registry, record: Record, archive: Archive, key: SigningKey, tmp_path: Path
) -> None:
    sealed(record, registry, archive, key, FIRST + 5 * DAY)
    before = {p: p.read_bytes() for p in (tmp_path / "archive").rglob("*") if p.is_file()}
    index = channel(registry, "mine/homes/pm10")
    missing = readings(index, [FIRST + 3 * DAY - MINUTE], 5.0)
    other = readings(index, [FIRST + 2 * DAY], 99.0)
    ancient = readings(index, [FIRST + DAY - MINUTE], 1.0)
    for some in (missing, other, ancient):
        pipeline.commit(batch_of(registry, some, FIRST + 6 * DAY), FIRST + 6 * DAY)
    pipeline.mark(
        "mine", "homes", None, (FIRST + 2 * DAY - HOUR, FIRST + 2 * DAY + HOUR), "fault", "filter", "A", FIRST + 6 * DAY
    )
    added = sealed(record, registry, archive, key, FIRST + 6 * DAY)
    assert [(e.day, e.part, {k: n for k, n in e.rows.items() if n}) for e in added] == [
        ("2026-03-02", 1, {"late": 1}),
        ("2026-03-03", 1, {"mark": 1}),
        ("2026-03-04", 1, {"reading": 1, "conflict": 1, "mark": 1}),
    ]
    [mark] = [json.loads(text) for text in archive.table("mine", added[1])["detail"].to_pylist()]
    assert (mark["kind"], mark["author"], mark["end"]) == ("fault", "A", FIRST + 2 * DAY + HOUR)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert sealed(record, registry, archive, key, FIRST + 7 * DAY) == []
    assert clean(record, archive, key)


def test_rejections_are_sealed_with_the_day_of_their_receipt(
    pipeline: Pipeline, registry: Registry, record: Record, archive: Archive, key: SigningKey
) -> None:
    received = FIRST + 3 * DAY + HOUR
    batch = batch_of(registry, readings(channel(registry, "mine/homes/pm10"), [received], 5.0), received)
    batch.rejections.append(
        Rejection(received, "mine", "homes", "greenmine/v1/mine/homes/readings", "json", "bad", 1, 3, b"\xff{[", 0)
    )
    pipeline.commit(batch, received)
    last = sealed(record, registry, archive, key, FIRST + 5 * DAY)[-1]
    assert (last.day, last.rows["rejection"], last.rows["reading"]) == ("2026-03-05", 1, 1)
    rejected = next(row for row in archive.table("mine", last).to_pylist() if row["kind"] == "rejection")
    assert (json.loads(rejected["detail"])["payload"], rejected["device"]) == ("/3tb", "homes")


@pytest.mark.usefixtures("pipeline")
def test_sealing_that_was_cut_short_goes_on(
    registry: Registry, record: Record, archive: Archive, key: SigningKey, tmp_path: Path
) -> None:
    whole = seal(record.engine, registry.sites, archive, key, FIRST + 5 * DAY, LATENESS)
    next(whole)
    whole.close()
    orphan = tmp_path / "archive/mine/2026-03-03.parquet"
    orphan.write_bytes(b"half a file")
    assert [e.day for e in sealed(record, registry, archive, key, FIRST + 5 * DAY)] == ["2026-03-03", "2026-03-04"]
    assert clean(record, archive, key)


@pytest.mark.usefixtures("pipeline")
def test_the_same_rows_give_the_same_bytes(registry: Registry, record: Record, key: SigningKey, tmp_path: Path) -> None:
    sealed(record, registry, Archive(tmp_path / "one"), key, FIRST + 5 * DAY)
    with record.transaction() as connection:
        connection.execute(sa.delete(schema.archive_head))
    sealed(record, registry, Archive(tmp_path / "two"), key, FIRST + 5 * DAY)
    files = sorted((tmp_path / "one/mine").rglob("*.*"))
    assert len(files) == 6
    assert all(f.read_bytes() == (tmp_path / "two" / f.relative_to(tmp_path / "one")).read_bytes() for f in files)


@pytest.mark.usefixtures("pipeline")
def test_a_record_from_an_older_copy_is_refused(
    registry: Registry, record: Record, archive: Archive, key: SigningKey, tmp_path: Path
) -> None:
    sealed(record, registry, archive, key, FIRST + 5 * DAY)
    older = record_at(record_in(tmp_path / "older"), registry)
    Pipeline(registry, older).commit(batch_of(registry, day_of(registry, 0)), FIRST + DAY)
    with pytest.raises(ChainError, match="restored from an older copy"):
        sealed(older, registry, archive, key, FIRST + 5 * DAY)


@pytest.mark.usefixtures("pipeline")
def test_a_chain_that_was_cut_off_is_refused(
    registry: Registry, record: Record, archive: Archive, key: SigningKey, tmp_path: Path
) -> None:
    sealed(record, registry, archive, key, FIRST + 5 * DAY)
    (tmp_path / "archive/mine/chain/00000002.json").unlink()
    with pytest.raises(ChainError, match="cut off"):
        sealed(record, registry, archive, key, FIRST + 6 * DAY)
    places = [f.place for f in verify(archive, "mine", key.public, head_of(record.engine, "mine"))]
    assert "mine, end of the chain" in places


@pytest.mark.usefixtures("pipeline")
def test_every_change_of_a_byte_is_found(
    registry: Registry, record: Record, archive: Archive, key: SigningKey, tmp_path: Path
) -> None:
    sealed(record, registry, archive, key, FIRST + 5 * DAY)
    random = np.random.default_rng(1)
    files = sorted(p for p in (tmp_path / "archive").rglob("*") if p.is_file())
    assert len(files) == 6
    for _ in range(200):
        path = files[int(random.integers(len(files)))]
        content = bytearray(before := path.read_bytes())
        content[int(random.integers(len(content)))] ^= int(random.integers(1, 256))
        path.write_bytes(content)
        found = verify(archive, "mine", key.public)
        number = path.stem.removeprefix("2026-03-")
        assert any(path.name in f.place or f"entry {int(number)}" in f.place for f in found), (path, found)
        path.write_bytes(before)
    assert clean(record, archive, key)


@pytest.mark.usefixtures("pipeline")
def test_a_missing_day_a_foreign_file_and_another_order_are_found(
    registry: Registry, record: Record, archive: Archive, key: SigningKey, tmp_path: Path
) -> None:
    sealed(record, registry, archive, key, FIRST + 5 * DAY)
    folder = tmp_path / "archive/mine"
    one, two = folder / "chain/00000001.json", folder / "chain/00000002.json"
    contents = one.read_bytes(), two.read_bytes()

    def places() -> list[str]:
        return [f.place for f in verify(archive, "mine", key.public)]

    one.write_bytes(contents[1])
    two.write_bytes(contents[0])
    assert {"mine, entry 1", "mine, entry 2"} <= set(places())
    two.write_bytes(contents[1])
    one.unlink()
    assert {"mine, entry 1", "mine, entry 2", "mine/2026-03-03.parquet"} <= set(places())
    one.write_bytes(contents[0])
    (folder / "2026-03-05.parquet").write_bytes(b"")
    assert places() == ["mine/2026-03-05.parquet"]
    (folder / "2026-03-05.parquet").unlink()
    (folder / "2026-03-03.parquet").unlink()
    assert places() == ["mine/2026-03-03.parquet"]


@pytest.mark.usefixtures("pipeline")
def test_another_key_is_found(registry: Registry, record: Record, key: SigningKey, tmp_path: Path) -> None:
    other = SigningKey(tmp_path / "other")
    archive = Archive(tmp_path / "signed-anew")
    sealed(record, registry, archive, other, FIRST + 5 * DAY)
    assert {f.place for f in verify(archive, "mine", key.public)} == {f"mine, entry {n}" for n in range(3)}


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    key = SigningKey(tmp_path)
    assert (tmp_path / "archive.key").stat().st_mode & 0o777 == 0o600
    assert SigningKey(tmp_path).public == key.public == PublicKey.read(tmp_path / "archive.pub")
    assert key.public.verifies(key.sign(b"a"), b"a")
    assert not key.public.verifies(key.sign(b"a"), b"b")
    with pytest.raises(ValueError, match="no public key"):
        PublicKey.read(tmp_path / "archive.key")


def test_a_day_of_a_zone_off_the_hour_ends_at_local_midnight(key: SigningKey, tmp_path: Path) -> None:
    from tests.processing.mine import MINE  # noqa: PLC0415

    registry = registry_of(tmp_path / "registry", {"mine": ("Asia/Kathmandu", MINE)})
    record = record_at(record_in(tmp_path), registry)
    midnight = at("2026-03-02T00:00", "Asia/Kathmandu")
    index = channel(registry, "mine/homes/pm10")
    some = readings(index, every(midnight - 3 * MINUTE, midnight + 2 * MINUTE), 5.0)
    Pipeline(registry, record).commit(batch_of(registry, some), midnight + HOUR)
    found = sealed(record, registry, Archive(tmp_path / "archive"), key, midnight + 3 * DAY)
    assert [(e.day, e.rows["reading"]) for e in found] == [("2026-03-01", 3), ("2026-03-02", 2)]


def test_marks_of_many_days_do_not_open_days_without_anything_else(
    registry: Registry, record: Record, archive: Archive, key: SigningKey
) -> None:
    with record.transaction() as connection:
        connection.execute(
            sa.insert(schema.mark).values(
                site="mine",
                station="homes",
                start=FIRST,
                end=FIRST + 2 * DAY,
                kind="stop",
                reason="r",
                author="a",
                made=FIRST,
            )
        )
    found = sealed(record, registry, archive, key, FIRST + 9 * DAY)
    assert [(e.day, e.rows["mark"]) for e in found] == [("2026-03-02", 1), ("2026-03-03", 1)]


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland"])
def test_days_are_sealed_on_in_the_zone_in_which_the_tree_began(
    pipeline: Pipeline, registry: Registry, record: Record, archive: Archive, key: SigningKey, zone: str
) -> None:
    sealed(record, registry, archive, key, FIRST + 2 * DAY)
    [mine] = registry.sites
    changed = replace(registry, sites=(structs.replace(mine, zone=zone),))
    assert sealed(record, changed, archive, key, FIRST + 2 * DAY) == []
    pipeline = Pipeline(changed, record, now=FIRST + 6 * DAY)
    pipeline.commit(batch_of(changed, day_of(changed, 3)), FIRST + 6 * DAY)
    days = [
        (entry.day, entry.part, entry.rows["reading"])
        for entry in sealed(record, changed, archive, key, FIRST + 7 * DAY)
    ]
    assert days == [(f"2026-03-0{n}", 0, 2 * 1439) for n in (3, 4, 5)]
    assert clean(record, archive, key)
