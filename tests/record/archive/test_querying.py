"""Questions in SQL to an archive: answered from sealed days only, and nothing else can be read, written or reached."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from greenmine.cli import app
from greenmine.record.archive.archive import Archive, seal
from greenmine.record.archive.chain import ChainError
from greenmine.record.archive.querying import QueryError, answers, sealed_files
from greenmine.record.archive.signing import SigningKey
from greenmine.record.writer import Pipeline
from tests.processing.mine import DAY, MINUTE, at, batch_of, channel, every, readings, record_at, registry_of

FIRST = at("2026-03-02T00:00")
SUMS = "SELECT channel, day::VARCHAR AS day, count(*) AS n, sum(value) AS total FROM reading GROUP BY ALL ORDER BY ALL"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of three days of one channel, of which the last has an addendum."""
    folder = tmp_path_factory.mktemp("archive")
    registry = registry_of(folder / "registry")
    record = record_at(folder / "record.sqlite", registry)
    pipeline, index = Pipeline(registry, record), channel(registry, "mine/homes/pm10")
    archive, key = Archive(folder / "archive"), SigningKey(folder / "keys")
    for number in range(3):
        times = every(FIRST + number * DAY, FIRST + (number + 1) * DAY, MINUTE)[1:]
        pipeline.commit(batch_of(registry, readings(index, times, 40.0 + number)), FIRST + (number + 1) * DAY)
    list(seal(record.engine, registry.sites, archive, key, FIRST + 5 * DAY, DAY))
    late = readings(index, np.array([FIRST + 2 * DAY]), 7.0)
    pipeline.commit(batch_of(registry, late, FIRST + 6 * DAY), FIRST + 6 * DAY)
    list(seal(record.engine, registry.sites, archive, key, FIRST + 9 * DAY, DAY))
    record.engine.dispose()
    return folder / "archive"


def asked(place: Path, question: str, first: date | None = None, last: date | None = None, **how: int) -> list[tuple]:
    archive = Archive(place)
    batches = list(answers(question, sealed_files(archive, archive.sites(), first, last), **how))
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def test_sealed_days_and_what_was_added_to_them_are_counted_once(place: Path) -> None:
    key = "mine/homes/pm10"
    assert asked(place, SUMS) == [
        (key, "2026-03-02", 1439, 1439 * 40.0),
        (key, "2026-03-03", 1439, 1439 * 41.0),
        (key, "2026-03-04", 1440, 1439 * 42.0 + 7.0),
    ]
    assert asked(place, SUMS, date(2026, 3, 3), date(2026, 3, 3)) == [(key, "2026-03-03", 1439, 1439 * 41.0)]


def test_columns_that_describe_a_file_can_be_asked_for(place: Path) -> None:
    parts = "SELECT DISTINCT site, part, kind FROM sealed WHERE kind = 'reading' ORDER BY ALL"
    assert asked(place, parts) == [("mine", 0, "reading"), ("mine", 1, "reading")]
    assert asked(place, "SELECT time FROM reading WHERE part = 1")[0][0].timestamp() * 1000 == FIRST + 2 * DAY


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("COPY (SELECT 1) TO '{folder}/out.csv'", "one SELECT"),
        ("CREATE TABLE a AS SELECT 1", "one SELECT"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("", "one SELECT"),
        ("SET enable_external_access = true", "one SELECT"),
        ("SELECT * FROM read_text('/etc/hostname')", "disabled"),
        ("SELECT * FROM '{folder}/mine/2026-03-02.parquet'", "disabled"),
        ("SELECT * FROM read_parquet('https://example.org/a.parquet')", "disabled"),
        ("SELECT * FROM glob('/etc/*')", "disabled"),
        ("SELECT * FROM place", "does not exist"),
        ("SELECT nonsense FROM reading", "nonsense"),
        ("SELECT list(i) FROM range(100000000) t(i)", "emory"),
    ],
)
def test_nothing_but_sealed_rows_is_reached_and_nothing_is_written(place: Path, question: str, told: str) -> None:
    with pytest.raises(QueryError, match=told):
        asked(place, question.format(folder=place), memory=100)
    assert not (place / "out.csv").exists()


def test_a_file_that_is_not_what_was_sealed_answers_nothing(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "archive"
    for path in place.rglob("*"):
        if path.is_file():
            copied = other / path.relative_to(place)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(path.read_bytes())
    file = other / "mine" / "2026-03-03.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ChainError, match=r"2026-03-03\.parquet is not what was sealed"):
        asked(other, SUMS)
    assert len(asked(other, SUMS, last=date(2026, 3, 2))) == 1


def test_the_command_answers_for_several_archives(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = "SELECT site, count(*) AS n, min(time) AS since FROM reading GROUP BY site"
    said = ["archive", "query", question, "--archive", str(place)]
    app(said, exit_on_error=False, result_action="return_value")
    assert capsys.readouterr().out.splitlines() == ["site,n,since", f"mine,{1440 + 2 * 1439},2026-03-01T16:01:00+00:00"]
    app([*said, "--archive", str(place), "--format", "json"], exit_on_error=False, result_action="return_value")
    assert json.loads(capsys.readouterr().out)["n"] == 2 * (1440 + 2 * 1439)
    with pytest.raises(SystemExit, match="no sealed days"):
        app([*said, "--site", "elsewhere"], exit_on_error=False)
