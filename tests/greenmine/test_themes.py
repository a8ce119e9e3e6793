"""The catalogue of themes: what may be judged, and what nobody could show is a fault at the start."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from greenmine.limits import CATALOGUE as LIMITS
from greenmine.loading import load_registry
from greenmine.parameters import CATALOGUE as PARAMETERS
from greenmine.registry import DEFAULT, RegistryError
from greenmine.tables import DataFileError
from greenmine.themes import CATALOGUE, load_themes


def registry(folder: Path, **catalogues: tuple[Path, str, str]) -> Path:
    """A copy of the default registry with catalogues of its own, in each of which one text is replaced."""
    place = folder / "registry"
    shutil.copytree(DEFAULT, place)
    for shipped, old, new in catalogues.values():
        text = shipped.read_text("utf-8")
        assert old in text
        (place / shipped.name).write_text(text.replace(old, new), "utf-8")
    return place


def test_five_ship_of_which_three_are_judged() -> None:
    themes = load_themes()
    assert list(themes) == ["dust", "noise", "water", "weather", "equipment"]
    assert [theme.id for theme in load_registry().judged_themes] == ["dust", "noise", "water"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('id = "dust"', 'id = "Dust"', "id"),
        ('id = "dust"', 'id = "noise"', "already that of number 1"),
        ("judged = true\n", "", "judged is missing"),
        ('hj212 = "39"', 'hj212 = "dust"', "hj212"),
        ('name_en = "Dust"', 'name_en = "Dust"\ncolour = "brown"', "colour"),
    ],
)
def test_a_faulty_catalogue_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    (tmp_path / "themes.toml").write_text(CATALOGUE.read_text("utf-8").replace(old, new, 1), "utf-8")
    with pytest.raises(DataFileError, match=told):
        load_themes(tmp_path / "themes.toml")


def test_a_parameter_of_an_unknown_theme_is_refused(tmp_path: Path) -> None:
    place = registry(tmp_path, parameters=(PARAMETERS, 'theme = "water"', 'theme = "watr"'))
    with pytest.raises(RegistryError, match=r'parameters.toml, line \d+, .* "ph": theme: there is no theme .watr.'):
        load_registry(place)


def test_a_limit_that_no_theme_would_show_is_refused(tmp_path: Path) -> None:
    water = 'id = "water"\nname_zh = "水"\nname_en = "Water"\njudged = true'
    place = registry(tmp_path, themes=(CATALOGUE, water, water.replace("true", "false")))
    with pytest.raises(RegistryError, match=r"of the theme 'water', which is not judged"):
        load_registry(place)


def test_a_registry_may_have_limits_of_its_own_for_a_theme_of_its_own(tmp_path: Path) -> None:
    more = '[[themes]]\nid = "heat"\nname_zh = "热"\nname_en = "Heat"\njudged = true\nhj212 = "39"\n\n[[themes]]\nid = "dust"'
    place = registry(
        tmp_path,
        themes=(CATALOGUE, '[[themes]]\nid = "dust"', more),
        parameters=(PARAMETERS, 'theme = "weather"', 'theme = "heat"'),
        limits=(LIMITS, "[conditions]", "[conditions]"),
    )
    assert [theme.id for theme in load_registry(place).judged_themes] == ["heat", "dust", "noise", "water"]
