"""Readings that their instrument signed: counted, and found where the operator changed them, tree and all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.collector.payloads.signature import sign
from greenmine.evidence.bundle import Installation, build, collect
from greenmine.evidence.sections import SignedFigures
from greenmine.evidence.signatures import signature_faults, signed_shares
from greenmine.evidence.source import Source
from greenmine.evidence.verify import verify_raw
from greenmine.record import schema
from greenmine.record.archive.archive import Archive
from greenmine.record.archive.signing import SigningKey
from greenmine.record.record import open_engine
from greenmine.record.rows import ROW
from greenmine.record.writer import Pipeline
from greenmine.settings import Settings
from tests.collector.payloads.test_signature import KEY, TOPIC, keyed, term
from tests.evidence.bundles import contents, verify
from tests.evidence.test_trust import NOW, PERIOD
from tests.processing.mine import DAY, HOUR, MINUTE, at, record_at
from tests.records import copy_record, record_in

FIRST = at("2026-03-02T00:00")
FENCE = "greenmine/v1/mine/fence/readings"
STEP = 10 * MINUTE


def _message(start: int, seq: int) -> bytes:
    values = [float(80 + (seq + n) % 7) for n in range(36)]
    text = '{"v": 1, "seq": %d, "start": %d, "step": %d, "columns": {"pm10": %s}, "flags": {}}'
    return (text % (seq, start, STEP, values)).encode()


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation whose dust monitor signs what it sends, four days of it."""
    folder = tmp_path_factory.mktemp("signing") / "here"
    _install(folder, 6 * HOUR)
    return folder


def _install(folder: Path, delay: int) -> None:
    """Make the installation; messages come so long after their first reading [ms]."""
    registry = keyed(folder / "registry", term(KEY, "2026-01-01"))
    record = record_at(record_in(folder), registry)
    pipeline, builder = Pipeline(registry, record), BatchBuilder(registry, Settings())
    for seq, start in enumerate(range(FIRST, FIRST + 4 * DAY, 6 * HOUR)):
        builder.add(TOPIC, sign(TOPIC, _message(start, seq), KEY), start + delay)
        builder.add(TOPIC, sign(TOPIC, _message(start, seq), KEY), start + delay)  # delivered twice
        noise = b'{"v": 1, "time": %d, "values": {"laeq": 50.0}, "flags": {}}' % start
        builder.add(FENCE, noise, start + delay)
        pipeline.commit(builder.finish(), start + delay)
    SigningKey(folder / "keys")
    record.engine.dispose()


class Operated:
    """A copy of the installation, in which its operator has changed something before it was put into a tree and sealed."""

    def __init__(self, signing: Path, folder: Path, change: Callable[[sa.Connection], None]) -> None:
        shutil.copytree(signing, folder, ignore=shutil.ignore_patterns("*.sqlite*"))
        copy_record(signing, folder)
        engine = open_engine(record_in(folder))
        with engine.begin() as connection:
            change(connection)
        registry = keyed(folder / "again", term(KEY, "2026-01-01"))
        key = SigningKey(folder / "keys")
        here = Installation(engine, registry, folder / "registry", Archive(folder / "archive"), key, DAY)
        (folder / "bundle").mkdir()
        collect(here, registry.sites[0], PERIOD, folder / "bundle", NOW, lambda *_: None)
        self.source = Source(folder / "bundle", PERIOD)
        self.here = here
        self.found, _, _ = verify_raw(folder / "bundle", self.source, key.ring)
        engine.dispose()


def _nothing(_connection: sa.Connection) -> None:
    """Leave it as it is."""


def _rewritten(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[sa.Connection], None]:
    def changed(connection: sa.Connection) -> None:
        block = schema.reading_block.c
        for number, data in connection.execute(sa.select(block.id, block.data)).all():
            rows = change(np.frombuffer(data, ROW).copy())
            new = {"data": rows.tobytes(), "count": len(rows)}
            connection.execute(sa.update(schema.reading_block).where(block.id == number).values(**new))

    return changed


def _halved(rows: np.ndarray) -> np.ndarray:
    rows["value"] *= 0.5
    return rows


def _flagged(rows: np.ndarray) -> np.ndarray:
    rows["flag"] = ord("M")
    return rows


def _resigned(connection: sa.Connection) -> None:
    c = schema.signed.c
    for number, payload in connection.execute(sa.select(c.id, c.payload)).all():
        new = payload.replace(b"80.0", b"40.0")
        connection.execute(sa.update(schema.signed).where(c.id == number).values(payload=new))


def test_what_instruments_signed_is_counted_and_whole(signing: Path, tmp_path: Path) -> None:
    operated = Operated(signing, tmp_path / "copy", _nothing)
    assert operated.found == []
    assert signed_shares(operated.source, PERIOD) == [
        SignedFigures("fence", 4, 0),
        SignedFigures("homes", 144, 144),
    ]
    assert operated.source.entries[0].rows["signed"] == 4


def test_a_bundle_of_sealed_days_says_which_readings_were_signed_and_verifies(signing: Path, tmp_path: Path) -> None:
    operated = Operated(signing, tmp_path / "copy", _nothing)
    build(operated.here, "mine", PERIOD, tmp_path / "bundle.zip", NOW)
    figures = json.loads(contents(tmp_path / "bundle.zip")["figures.json"])
    assert figures["signed"] == [
        {"device": "fence", "readings": 4, "signed": 0},
        {"device": "homes", "readings": 144, "signed": 144},
    ]
    assert verify(tmp_path / "bundle.zip") == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            _rewritten(_halved),
            "144 readings have another value or flag than their device signed; the first is of 2026-03-04",
        ),
        (_rewritten(_flagged), "144 readings have another value or flag than their device signed"),
        (_rewritten(lambda rows: rows[::2]), "72 readings that their device signed are missing"),
        (_resigned, "is not signed by its device: the signature is by no key of the device in force on 2026-03-04"),
    ],
    ids=["halved", "flagged", "dropped", "payload edited"],
)
def test_what_an_operator_changed_of_it_before_it_was_sealed_is_found_without_a_witness(
    signing: Path, tmp_path: Path, change: Callable[[sa.Connection], None], told: str
) -> None:
    operated = Operated(signing, tmp_path / "copy", change)
    assert any(told in one.what for one in signature_faults(operated.source))
    assert set(signature_faults(operated.source)) <= set(operated.found)


def test_what_an_operator_changed_of_readings_that_came_days_later_is_found(tmp_path: Path) -> None:
    _install(tmp_path / "here", 2 * DAY)
    assert Operated(tmp_path / "here", tmp_path / "untouched", _nothing).found == []
    operated = Operated(tmp_path / "here", tmp_path / "copy", _rewritten(_halved))
    told = "144 readings have another value or flag than their device signed"
    assert any(told in one.what for one in operated.found)
