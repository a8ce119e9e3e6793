"""Changes of a registry's files."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from greenmine.api.editing import ConflictError, Editing, with_limits
from greenmine.api.watching import WatchedRegistry
from greenmine.loading import load_registry
from greenmine.registry import DEFAULT, RegistryError

FILE = "sites/jiuchi.toml"


@pytest.fixture
def editing(tmp_path: Path) -> Editing:
    shutil.copytree(DEFAULT, tmp_path / "registry")
    return Editing(tmp_path / "registry", tmp_path / "history")


def test_an_unsound_change_leaves_file_and_history_as_they_were(editing: Editing) -> None:
    before = editing.text(FILE)
    assert before is not None
    for wrong in (before + "x", before.replace('"gb12348-class2-day"', '"gb12348-class9-day"'), None):
        with pytest.raises(RegistryError):
            editing.change(FILE, before, wrong, author="li", now=1) if wrong else editing.change(
                "enterprises.toml", editing.text("enterprises.toml"), None, author="li", now=1
            )
    assert editing.text(FILE) == before
    assert editing.changes() == []


def test_changes_are_undone_in_reverse_and_never_over_a_later_one(editing: Editing) -> None:
    texts = [editing.text(FILE) or ""]
    for number in range(2):
        texts.append(texts[-1] + f"# {number}\n")
        editing.change(FILE, texts[-2], texts[-1], author="li", now=number)
    with pytest.raises(ConflictError):
        editing.undo(1, author="wang", now=9)
    assert editing.undo(2, author="wang", now=9).undoes == 2
    assert editing.text(FILE) == texts[1]
    assert [(change.number, change.author) for change in editing.changes()] == [(3, "wang"), (2, "li"), (1, "li")]


def test_a_mine_that_was_added_is_undone_as_a_whole(editing: Editing) -> None:
    text = (editing.text(FILE) or "").replace('id = "jiuchi"', 'id = "second"', 1)
    editing.change("sites/second.toml", None, text, author="li", now=1)
    assert "sites/second.toml" in editing.names()
    editing.undo(1, author="li", now=2)
    assert editing.text("sites/second.toml") is None


@pytest.mark.parametrize("site", sorted(path.name for path in (DEFAULT / "sites").iterdir()))
def test_limits_are_added_to_a_station_and_nothing_else_changes(site: str) -> None:
    text = (DEFAULT / "sites" / site).read_text("utf-8")
    for station in tomllib.loads(text)["stations"]:
        changed = with_limits(text, station["id"], ["gb3095-pm10-day-class1"])
        (found,) = [one for one in tomllib.loads(changed)["stations"] if one["id"] == station["id"]]
        assert found == station | {"limits": [*station.get("limits", []), "gb3095-pm10-day-class1"]}
        assert changed.count("#") == text.count("#")


def test_a_watched_registry_is_taken_up_when_it_is_sound_again(editing: Editing, tmp_path: Path) -> None:
    folder = tmp_path / "registry"
    watched = WatchedRegistry(folder, load_registry(folder))
    assert watched.changed() is None
    path, before = folder / FILE, (folder / FILE).read_text("utf-8")
    path.write_text("nonsense", "utf-8")
    assert watched.changed() is None
    path.write_text(before.replace("high = 800", "high = 700", 1), "utf-8")
    found = watched.changed()
    assert found is not None
    assert [t.high for t in found.station("jiuchi", "boundary").targets] == [700, 600]
    assert watched.changed() is None
    assert editing.names()[0] == "enterprises.toml"
