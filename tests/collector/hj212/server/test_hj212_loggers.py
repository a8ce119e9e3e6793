"""Loggers of the registry and their passwords: what is wrong is said at the start."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest

from greenmine.collector.hj212.server import pace
from greenmine.collector.hj212.server.loggers import load_loggers
from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.loading import load_registry
from greenmine.registry import RegistryError
from greenmine.settings import Settings
from tests.loggers import mn_of, write_mine


def settings(**given: Any) -> Settings:
    return Settings.model_validate({"hj212_port": 0, **given})


def test_a_logger_without_a_password_is_named(tmp_path: Path) -> None:
    registry = load_registry(write_mine(tmp_path / "registry"))
    with pytest.raises(ValueError, match=r"888880000000 \(pit/logger-0\); set GREENMINE_HJ212_PASSWORD"):
        load_loggers(registry, settings())


@pytest.mark.parametrize(
    ("text", "told"), [("x = 1\n", "no device .* MN x"), ("888880000000\n", "line 1"), (None, "cannot be read")]
)
def test_a_file_of_passwords_that_is_wrong_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    registry = load_registry(write_mine(tmp_path / "registry"))
    file = tmp_path / "passwords"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValueError, match=told):
        load_loggers(registry, settings(hj212_passwords=file, hj212_password="s3cr3t"))


def test_factors_go_by_the_codes_of_all_editions_and_by_the_profile(tmp_path: Path) -> None:
    registry = load_registry(write_mine(tmp_path / "registry"))
    logger = load_loggers(registry, settings(hj212_password="s3cr3t"))[mn_of(0)]
    names = {name: channel.parameter.id for name, channel in logger.channels.items()}
    assert names == {
        "a34002": "pm10",
        "LA": "laeq",
        "Ld-DayData": "laeq",
        "a01006": "pressure",
        "SB1": "equipment-state",
    }
    assert "s3cr3t" not in repr(logger)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('mn = "888880000001"', 'mn = ""', "mn belongs to devices of the format hj212"),
        ('mn = "888880000001"', 'mn = "a b"', "mn"),
    ],
)
def test_an_mn_is_needed_once(tmp_path: Path, old: str, new: str, told: str) -> None:
    site = write_mine(tmp_path / "registry", loggers=2) / "sites" / "pit.toml"
    site.write_text(site.read_text().replace(old, new))
    with pytest.raises(RegistryError, match=told):
        load_registry(tmp_path / "registry")


def test_an_mn_is_of_one_site(tmp_path: Path) -> None:
    site = write_mine(tmp_path / "registry") / "sites" / "pit.toml"
    (site.parent / "other.toml").write_text(site.read_text().replace('"pit"', '"other"'))
    with pytest.raises(RegistryError, match="mn: 888880000000 is already that of"):
        load_registry(tmp_path / "registry")


@pytest.mark.parametrize("more", ['crc = "modbus"', "version = 2018", 'readings_from = "2061"', "minutes = 7", "x = 1"])
def test_a_profile_says_nothing_that_does_not_exist(tmp_path: Path, more: str) -> None:
    with pytest.raises(RegistryError):
        load_registry(write_mine(tmp_path / "registry", more=more))


def test_the_table_hj212_belongs_to_its_format(tmp_path: Path) -> None:
    profiles = write_mine(tmp_path / "registry") / "profiles.toml"
    profiles.write_text(profiles.read_text().replace('format = "hj212"', 'format = "senml"'))
    with pytest.raises(RegistryError, match="hj212: belongs to profiles of the format hj212"):
        load_registry(tmp_path / "registry")


def test_a_logger_is_no_device_of_the_broker(tmp_path: Path) -> None:
    builder = BatchBuilder(load_registry(write_mine(tmp_path / "registry")), settings())
    builder.add("greenmine/v1/pit/logger-0/readings", b'{"time":0,"values":{"pm10":1}}', 0)
    assert [rejection.reason for rejection in builder.finish().rejections] == ["unknown-device"]


def test_the_example_of_the_pace_holds() -> None:
    outcome = doctest.testmod(pace)
    assert (outcome.failed, outcome.attempted > 0) == (0, True)
