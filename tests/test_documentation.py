"""Documentation is part of the product: what exists is documented, links lead somewhere, and the map shows the whole house."""

from __future__ import annotations

import re
import struct
import tomllib
from pathlib import Path
from typing import Any

import pytest

from greenmine.clauses import in_language
from greenmine.cli import app
from greenmine.limits import limits_table, load_limits
from greenmine.parameters import load_parameters
from greenmine.settings import Settings
from greenmine.wording.messages import Language

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PAIRS = [(page.with_suffix("").with_suffix(".md"), page) for page in PAGES if page.name.endswith(".zh.md")]
PICTURES = sorted((ROOT / "docs/pictures").iterdir())
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#]*)(?:#([^)]+))?\)")


def settings_of(page: str) -> dict[str, list[str]]:
    """Settings of a page with what stands as code in their defaults."""
    rows = re.findall(r"^\| `GREENMINE_(\w+)` \|([^|]*)\|", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    return {name: sorted(re.findall("`[^`]+`", default)) for name, default in rows}


def test_the_settings_page_lists_every_setting_and_no_other() -> None:
    assert sorted(settings_of("docs/settings.md")) == sorted(name.upper() for name in Settings.model_fields)


def test_both_settings_pages_name_the_same_defaults() -> None:
    assert settings_of("docs/settings.zh.md") == settings_of("docs/settings.md")


@pytest.mark.parametrize("name", [name for name in app if not name.startswith("-")])
@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
def test_a_command_is_in_both_readmes(name: str, page: str) -> None:
    assert f"`greenmine {name}" in (ROOT / page).read_text()


@pytest.mark.parametrize("name", sorted(load_parameters()))
def test_a_parameter_is_documented(name: str) -> None:
    assert f"`{name}`" in "".join(page.read_text() for page in PAGES)


@pytest.mark.parametrize(("page", "language"), [("docs/limits.md", "en"), ("docs/limits.zh.md", "zh")])
def test_the_limits_page_holds_the_limits_and_no_others(page: str, language: Language) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    limits = load_limits()[0].values()
    assert [row for row in text.splitlines() if row.startswith("| `")] == limits_table(limits, language).splitlines()[
        2:
    ]
    sources = {rule.source for limit in limits for rule in (limit.validity, limit.rounding)}
    assert [source for source in sources if in_language(source, language) not in text] == []


def text_of(page: Path) -> str:
    """A page without its code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """What headings of a page are called in its address, as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def named(page: Path) -> set[Path]:
    """Files and folders that a page links to."""
    return {(page.parent / target).resolve() for target, _ in LINK.findall(text_of(page)) if target}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    lost = []
    for target, anchor in LINK.findall(text_of(page)):
        file = page.parent / target if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            lost.append(f"{target}#{anchor}")
    assert lost == []


def shape(page: Path) -> dict[str, list[Any]]:
    """What a page has in both languages: levels of headings, rows of tables under each, code, settings and options."""
    text = page.read_text(encoding="utf-8")
    prose = text_of(page)
    return {
        "headings": [len(level) for level in re.findall(r"^(#+) ", prose, re.MULTILINE)],
        "rows": [
            len(re.findall(r"^\|", part, re.MULTILINE)) for part in re.split(r"^#+ .*$", prose, flags=re.MULTILINE)
        ],
        "code": [fence.split("\n")[0] for fence in FENCE.findall(text)],
        "settings": sorted(set(re.findall(r"\bGREENMINE_[A-Z0-9_]+", text))),
        "options": sorted(set(re.findall(r"--[a-z][a-z0-9-]+", text))),
    }


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_says_the_same_in_both_languages(english: Path, chinese: Path) -> None:
    assert shape(chinese) == shape(english)


def test_what_is_to_be_written_is_printed_alike_in_both_languages() -> None:
    code = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
    english, chinese = (
        code.findall((ROOT / "docs" / page).read_text("utf-8")) for page in ("extend.md", "extend.zh.md")
    )
    assert len(english) > 20
    assert chinese == english


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_leads_to_its_other_language_and_else_to_pages_of_its_own(english: Path, chinese: Path) -> None:
    assert chinese in named(english)
    assert named(chinese) & {page for page, _ in PAIRS} == {english}


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in ROOT.glob("*/__init__.py")))
def test_a_folder_is_on_the_map(folder: str) -> None:
    assert f"`{folder}/`" in (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_contract_is_explained(contract: str) -> None:
    assert f"\n| {contract} |" in (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md", "docs/glossary.md"])
@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_both_readmes_lead_to_a_page(readme: str, page: str) -> None:
    assert ROOT / page in named(ROOT / readme)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_shown_in_the_page_of_its_language_and_is_small(picture: Path) -> None:
    page = ROOT / ("docs/grafana" if picture.name.startswith("grafana-") else "README")
    language = {".en": ".md", ".zh": ".zh.md"}[picture.with_suffix("").suffix]
    assert picture in named(page.with_suffix(language))
    assert picture.stat().st_size < 250_000
    assert struct.unpack(">II", picture.read_bytes()[16:24]) == (1440, 900)


def test_both_languages_show_the_same_screens() -> None:
    assert len(PICTURES) == 2 * len({picture.name.split(".")[0] for picture in PICTURES}) > 0
