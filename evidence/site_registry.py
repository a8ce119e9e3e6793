"""The registry of one site: what judging its readings needs, and nothing of other mines."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from greenmine import evaluation, limits, parameters, reporting, shipped_profiles, themes
from greenmine.registry import DEFAULT, Registry, Site


def write_site_registry(registry: Registry, given: Path | None, site: Site, folder: Path) -> None:
    """Write the registry with one site only, and the catalogues that it was read with.

    Parameters
    ----------
    registry : Registry
        As it was read.
    given : Path, optional
        Directory that it was read from; None: the one that ships with the package.
    site : Site
        The only one that is written.
    folder : Path
        Directory to be made.

    Raises
    ------
    OSError
        If a file cannot be read or written.
    """
    given = given or DEFAULT
    (folder / "sites").mkdir(parents=True)
    for name in (f"sites/{site.id}.toml", "profiles.toml"):
        shutil.copyfile(given / name, folder / name)
    kept = given / shipped_profiles.KEPT
    shutil.copyfile(kept if kept.exists() else shipped_profiles.CATALOGUE, folder / shipped_profiles.KEPT)
    owner = next(e for e in registry.enterprises if e.id == site.enterprise)
    lines = [f"{key} = {json.dumps(getattr(owner, key), ensure_ascii=False)}" for key in ("id", "name_zh", "name_en")]
    (folder / "enterprises.toml").write_text("\n".join(["[[enterprises]]", *lines, ""]), encoding="utf-8")
    for shipped in (
        themes.CATALOGUE,
        parameters.CATALOGUE,
        limits.CATALOGUE,
        reporting.CATALOGUE,
        evaluation.CATALOGUE,
    ):
        own = given / shipped.name
        shutil.copyfile(own if own.exists() else shipped, folder / shipped.name)
