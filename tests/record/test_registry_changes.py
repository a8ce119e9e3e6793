"""What is changed in registry and limits: noticed by the running system, part by part, with who, before and after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from greenmine.api.accounts.audit import CHANGED
from greenmine.limits import CATALOGUE
from greenmine.loading import load_registry
from greenmine.notify.events import Follower
from greenmine.notify.wording import NoticeWords
from greenmine.record import schema
from greenmine.record.access import RecordAccess
from greenmine.record.basis import announce, changes_since
from greenmine.record.record import Record, last_number
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.api.signing import accounts_in
from tests.processing.mine import DAY, at, record_at, registry_of
from tests.records import record_in

FIRST = at("2026-03-02T00:00")
CALIBRATION = """
[[calibrations]]
station = "south"
parameter = "tsp"
valid_from = 2026-03-01T00:00:00+08:00
slope = 0.5
certificate = "c"
"""


def _limits(folder: Path, old: str, new: str) -> None:
    text = (
        (folder / "limits.toml").read_text("utf-8")
        if (folder / "limits.toml").exists()
        else CATALOGUE.read_text("utf-8")
    )
    assert old in text
    (folder / "limits.toml").write_text(text.replace(old, new), "utf-8")


def _started(record: Record, registry: Registry, now: int) -> list[Any]:
    """Start the worker; what it noticed since the begin of the test."""
    Pipeline(registry, Record(record.engine, registry), now=now)
    with record.engine.connect() as connection:
        return changes_since(connection, "mine", FIRST)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    registry = registry_of(tmp_path / "old")
    made = record_at(record_in(tmp_path), registry)
    assert _started(made, registry, FIRST) == []
    assert _started(made, registry, FIRST + 1) == []
    return made


def test_a_limit_that_was_edited_by_hand_is_noticed_with_before_and_after(tmp_path: Path, record: Record) -> None:
    registry_of(tmp_path / "new")
    _limits(tmp_path / "new", "wind_invalid = 5.0", "wind_invalid = 3.0")
    (change,) = _started(record, registry_of(tmp_path / "new"), FIRST + DAY)
    assert (change.part, change.author, change.time) == ("conditions", "", FIRST + DAY)
    assert [json.loads(text)["wind_invalid"] for text in (change.before, change.after)] == [5.0, 3.0]


def test_what_was_announced_is_put_down_to_who_did_it_and_the_next_edit_to_the_files(
    tmp_path: Path, record: Record
) -> None:
    with record.transaction() as connection:
        announce(connection, "mine", "Li", FIRST + DAY)
    new = registry_of(tmp_path / "new", more=CALIBRATION)
    first = _started(record, new, FIRST + DAY + 1)
    assert [(one.author, one.before) for one in first] == [("Li", None)]
    assert first[0].part.startswith("calibration south/tsp")
    again = _started(record, registry_of(tmp_path / "again"), FIRST + 2 * DAY)
    assert [(one.author, one.after) for one in again] == [("Li", first[0].after), ("", None)]


def test_what_was_announced_and_changed_no_figure_puts_nothing_down_to_anybody_later(
    tmp_path: Path, record: Record
) -> None:
    with record.transaction() as connection:
        announce(connection, "mine", "Li", FIRST + DAY)
    assert _started(record, registry_of(tmp_path / "same"), FIRST + DAY + 1) == []
    (change,) = _started(record, registry_of(tmp_path / "new", more=CALIBRATION), FIRST + 2 * DAY)
    assert change.author == ""


def test_a_name_that_changes_is_noticed_and_restates_nothing(tmp_path: Path, record: Record) -> None:
    folder = tmp_path / "new"
    registry_of(folder)
    path = folder / "sites" / "mine.toml"
    path.write_text(path.read_text("utf-8").replace('name_en = "Station"', 'name_en = "Place"', 1), "utf-8")
    (change,) = _started(record, load_registry(folder), FIRST + DAY)
    assert change.part == "words of station north"
    with record.engine.connect() as connection:
        assert connection.execute(sa.select(schema.restatement)).all() == []


def test_the_audit_log_has_each_change_once_and_the_district_is_told(tmp_path: Path, record: Record) -> None:
    new = registry_of(tmp_path / "new", more=CALIBRATION)
    with record.transaction() as connection:
        before = last_number(connection)
    (change,) = _started(record, new, FIRST + DAY)
    access = RecordAccess(record_in(tmp_path), new)
    with accounts_in(tmp_path) as accounts:
        for _ in range(2):
            with access.queries() as queries:
                accounts.audit.take_changes(queries.registry_changes)
        (line,) = accounts.audit.read(None, action=CHANGED)
    assert (line.site, line.subject, line.time) == ("mine", change.part, change.time)
    assert (line.detail["before"], line.detail["after"]) == (None, change.after)
    follower = Follower(new, record.engine, 0.9)
    told: dict[str, str] = {}
    news = follower.look(before, lambda _: told)
    (event,) = [one for one in news.events if one.kind == "registry-changed"]
    assert event.data["parts"] == [change.part]
    for language in ("zh", "en"):
        assert change.part in NoticeWords(language, new, "").line(event)
    told |= news.states
    assert not [one for one in follower.look(before, lambda _: told).events if one.kind == "registry-changed"]
