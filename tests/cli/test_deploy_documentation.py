"""What an installation consists of is in the pages about deploying, in both languages."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from greenmine.cli.device import app
from greenmine.cli.init import init
from greenmine.collector.mqtt.credentials import SERVICES

ROOT = Path(__file__).parents[2]
PAGES = ["deploy.md", "deploy.zh.md"]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> str:
    return (ROOT / "docs" / request.param).read_text()


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_service_and_its_version_are_in_both_pages(page: str, name: str) -> None:
    assert f"`{name}`" in page
    image, _, version = COMPOSE["services"][name]["image"].partition(":")
    assert f"{image.split('/')[-1]} {version.removesuffix('-alpine')}" in page or image == "greenmine"


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "cli" / "deployment").glob("*.service")))
def test_a_unit_is_in_both_pages(page: str, name: str) -> None:
    assert f"`{name}`" in page


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_an_account_is_in_both_pages(page: str, name: str) -> None:
    assert f"| `{name}` |" in page


@pytest.mark.parametrize("name", ["add", "list", "revoke", "refresh"])
def test_a_command_for_accounts_is_in_both_pages(page: str, name: str) -> None:
    assert name in list(app)
    assert f"device {name}" in page


def test_every_variable_of_the_compose_file_is_in_both_pages_or_made_by_init(page: str, tmp_path: Path) -> None:
    init(tmp_path, host=["localhost"], group=str(os.getgid()))
    variables = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    made = set(re.findall(r"^(\w+)=", (tmp_path / ".env").read_text(), re.MULTILINE))
    assert [name for name in sorted(variables - made) if f"`{name}" not in page] == []


def test_what_init_makes_is_in_both_pages(page: str, tmp_path: Path) -> None:
    init(tmp_path, host=["localhost"], group=str(os.getgid()))
    assert [path.name for path in tmp_path.iterdir() if f"`{path.name}{'/' * path.is_dir()}" not in page] == []


def test_both_languages_say_the_same_in_the_same_order() -> None:
    pages = [(ROOT / "docs" / name).read_text() for name in PAGES]
    shapes = [re.findall(r"^(#+ |\||```)", page, re.MULTILINE) for page in pages]
    assert shapes[0] == shapes[1]
    english, chinese = (re.findall(r"^```\w*\n(.*?)^```", page, re.MULTILINE | re.DOTALL) for page in pages)
    commands = [[re.sub(r"\s*#.*", "", block) for block in blocks] for blocks in (english[1:], chinese[1:])]
    assert commands[0] == commands[1]
