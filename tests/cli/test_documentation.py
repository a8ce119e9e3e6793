"""Documentation is part of the product: what exists is documented, and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from greenmine.cli import app
from greenmine.limits import load_limits
from greenmine.parameters import load_parameters
from greenmine.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_a_setting_is_in_the_settings_page(name: str) -> None:
    assert f"`GREENMINE_{name.upper()}`" in (ROOT / "docs/settings.md").read_text()


def test_the_settings_page_names_no_setting_that_does_not_exist() -> None:
    named = set(re.findall(r"^\| `GREENMINE_(\w+)`", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))
    assert named == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("name", [name for name in app if not name.startswith("-")])
@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
def test_a_command_is_in_both_readmes(name: str, page: str) -> None:
    assert f"`greenmine {name}" in (ROOT / page).read_text()


@pytest.mark.parametrize("name", sorted(load_parameters()))
def test_a_parameter_is_documented(name: str) -> None:
    assert f"`{name}`" in "".join(page.read_text() for page in PAGES)


@pytest.mark.parametrize("name", sorted(load_limits()[0]))
def test_a_limit_is_in_the_limits_page(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs/limits.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(((?!https?:|#|mailto:)[^)#]+)", page.read_text())
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_there_are_pages() -> None:
    assert len(PAGES) > 8
