"""A registry with the theme, parameter, limit and payload format that docs/extend.md prints."""

from __future__ import annotations

import shutil
from pathlib import Path

from greenmine import limits, parameters, themes
from greenmine.registry import DEFAULT
from tests.extension.recipes import blocks

CHANNEL = "kunyin/receptor/ppv"


def extended(folder: Path) -> Path:
    """Write the registry: the mines that ship, a reading in five minutes, and a geophone at the homes near Kunyin."""
    shutil.copytree(DEFAULT, folder)
    theme, parameter, profile, device = blocks("A parameter, and a theme for it", "toml")
    (limit,) = blocks("A limit", "toml")
    makers_profile, makers_device = blocks("A payload format", "toml")
    for catalogue, added in ((themes.CATALOGUE, theme), (parameters.CATALOGUE, parameter), (limits.CATALOGUE, limit)):
        (folder / catalogue.name).write_text(f"{catalogue.read_text('utf-8')}\n{added}", "utf-8")
    profiles = folder / "profiles.toml"
    known = profiles.read_text("utf-8").replace('interval = "60s"', 'interval = "300s"')
    profiles.write_text(f"{known}\n{profile}\n{makers_profile}", "utf-8")
    site = folder / "sites" / "kunyin.toml"
    text = site.read_text("utf-8").replace(
        '  "gb3096-class2-night",\n]', '  "gb3096-class2-night",\n  "example-ppv",\n]'
    )
    devices = f"{device}\n{makers_device}\n[[calibrations]]"
    site.write_text(text.replace("[[calibrations]]", devices, 1), "utf-8")
    return folder
