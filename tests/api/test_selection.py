"""Pages of many mines: fifty at a time, searched for, in groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenmine.api.http.arguments import SelectionArguments
from greenmine.api.pages.selection import Selection, selection
from greenmine.api.pages.wording import Wording
from greenmine.record.access import RecordAccess
from greenmine.record.reader import Scope
from greenmine.registry import Registry
from tests.processing.mine import Station, registry_of


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    homes = [Station("homes", ("pm10",))]
    zones = ("Asia/Urumqi", "Asia/Shanghai")
    return registry_of(tmp_path_factory.mktemp("province"), {f"m{n:03}": (zones[n % 2], homes) for n in range(120)})


def chosen(registry: Registry, tmp_path: Path, sites: int = 120, **given: object) -> Selection:
    access = RecordAccess(tmp_path / "none.sqlite", registry)
    scope = Scope(frozenset(site.id for site in registry.sites[:sites]))
    with access.queries() as queries:
        found = selection(queries, scope, Wording("en", registry), SelectionArguments.model_validate(given))
    access.close()
    return found


def test_all_pages_together_hold_every_mine_once(province: Registry, tmp_path: Path) -> None:
    pages = [chosen(province, tmp_path, page=page) for page in (1, 2, 3)]
    assert [len(page.sites) for page in pages] == [50, 50, 20]
    assert [site.id for page in pages for site in page.sites] == [site.id for site in province.sites]
    assert (pages[0].turned(-1), pages[0].turned(1), pages[2].turned(1)) == (None, "page=2", None)
    assert chosen(province, tmp_path, page=4).sites == []


def test_a_search_finds_by_all_of_its_words_and_among_the_visible_mines_alone(
    province: Registry, tmp_path: Path
) -> None:
    assert [site.id for site in chosen(province, tmp_path, q="M007 owner").sites] == ["m007"]
    assert chosen(province, tmp_path, q="m007 nobody").sites == []
    assert chosen(province, tmp_path, 60, q="m07").found == 0


@pytest.mark.parametrize(("group", "headings"), [("zone", ["Asia/Shanghai", "Asia/Urumqi"]), ("state", 1)])
def test_mines_stand_in_their_groups(province: Registry, tmp_path: Path, group: str, headings: object) -> None:
    pages = [chosen(province, tmp_path, group=group, page=page) for page in (1, 2, 3)]
    named = [pages[0].headings.get(site.id) for site in pages[0].sites] + [
        page.headings.get(site.id) for page in pages[1:] for site in page.sites[1:]
    ]
    told = [name for name in named if name]
    assert told == headings if isinstance(headings, list) else len(told) == headings
    assert all(page.sites[0].id in page.headings for page in pages)
    assert pages[1].turned(1) == f"group={group}&page=3"


def test_few_mines_need_no_choice(province: Registry, tmp_path: Path) -> None:
    assert not chosen(province, tmp_path, 50).offered
    assert chosen(province, tmp_path, 51).offered
