"""The archive in an S3-compatible store: sealed, verified, built from, and read from for what left the record."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from pyarrow import fs

from greenmine.evidence import verify as bundles
from greenmine.evidence.bundle import Installation, build
from greenmine.record import schema
from greenmine.record.archive.archive import Archive, head_of, seal, verify
from greenmine.record.archive.chain import ChainError
from greenmine.record.archive.pruning import prune
from greenmine.record.archive.signing import SigningKey
from greenmine.record.blocks import COLUMNS, Blocks
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.reporting import Period
from tests.ports import free_port
from tests.processing.mine import DAY, at, feed, registry_of
from tests.processing.streams import stream
from tests.records import record_in

needs_server = pytest.mark.skipif(
    find_spec("moto") is None and "CI" not in os.environ,
    reason="needs moto[server], which plays an S3-compatible store",
)
FIRST = at("2026-03-02T00:00")
NOW = FIRST + 9 * DAY
PERIOD = Period("2026-03-03", date(2026, 3, 3), date(2026, 3, 3))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a folder in a bucket of a real server."""
    port = free_port()
    log = tmp_path_factory.mktemp("store") / "log"
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as server:
        try:
            options = f"endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
            address = f"s3://test:test@evidence/mines?{options}"
            _make_bucket(f"{address}&allow_bucket_creation=true")
            yield address
        finally:
            server.terminate()


def _make_bucket(address: str) -> None:
    found, _ = fs.FileSystem.from_uri(address)
    deadline = time.monotonic() + 60
    while True:
        try:
            found.create_dir("evidence")
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


@needs_server
def test_a_store_serves_as_a_directory_does(store: str, tmp_path: Path) -> None:
    registry: Registry = registry_of(tmp_path / "registry")
    migrate(engine := open_engine(record_in(tmp_path)))
    pipeline = Pipeline(registry, Record(engine, registry))
    feed(pipeline, [stream(registry, np.random.default_rng(5), FIRST, FIRST + 3 * DAY)])
    key = SigningKey(tmp_path / "keys")
    kept, local = Archive(store), Archive(tmp_path / "archive")
    for archive in (local, kept):
        with engine.begin() as connection:
            connection.execute(sa.delete(schema.archive_head))
        assert len(list(seal(engine, registry.sites, archive, key, NOW, DAY))) == 3
    assert kept.chain("mine").data_files() == local.chain("mine").data_files()
    for number in range(3):
        assert kept.chain("mine").content(number) == local.chain("mine").content(number)
    assert verify(kept, "mine", key.public, head_of(engine, "mine")) == []
    assert list(seal(engine, registry.sites, kept, key, NOW + DAY, DAY)) == []

    here = Installation(engine, registry, tmp_path / "registry", kept, key, DAY)
    build(here, "mine", PERIOD, tmp_path / "bundle.zip", NOW)
    assert bundles.verify(tmp_path / "bundle.zip", [key.public.fingerprint]).findings == []

    def contents() -> list[bytes]:
        blocks = Blocks(registry, store)
        with engine.connect() as connection:
            return [
                blocks.data(connection, row)
                for row in connection.execute(sa.select(*COLUMNS).order_by(COLUMNS[0])).all()
            ]

    before = contents()
    assert [found.kept for found in prune(engine, registry, store, key.public, NOW, 1, registry.sites)] == [0, 0, 0]
    with engine.connect() as connection:
        left = connection.scalar(sa.select(sa.func.sum(sa.func.length(schema.reading_block.c.data))))
    assert left == 0
    assert contents() == before


def test_an_address_that_is_none_is_told_without_its_keys() -> None:
    with pytest.raises(ChainError) as told:
        Archive("s3://id:secret@evidence/mines?region=us-east-1&colour=green&sign=hidden")
    assert "s3://evidence/mines: is not the address of a store" in str(told.value)
    assert not any(word in str(told.value) for word in ("id:", "secret", "hidden"))
