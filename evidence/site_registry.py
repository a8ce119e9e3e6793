"""The registry of one site: what judging its readings needs, and nothing of other mines."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from greenmine import limits, parameters, reporting, shipped_profiles, themes
from greenmine.evidence import evaluation
from greenmine.loading import NEIGHBOURS
from greenmine.registry import DEFAULT, Neighbour, Registry, Site


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
    if site.id in registry.neighbours:
        (folder / NEIGHBOURS).write_text(_neighbour(registry.neighbours[site.id]), encoding="utf-8")
    for shipped in (
        themes.CATALOGUE,
        parameters.CATALOGUE,
        limits.CATALOGUE,
        reporting.CATALOGUE,
        evaluation.CATALOGUE,
    ):
        own = given / shipped.name
        shutil.copyfile(own if own.exists() else shipped, folder / shipped.name)


def _neighbour(station: Neighbour) -> str:
    """The weather station of another site as a table; of that site nothing else."""
    told = msgspec.to_builtins(station, builtin_types=(datetime,))
    calibrations = told.pop("calibrations")
    lines = ["[[neighbours]]", *_lines(told)]
    for calibration in calibrations:
        lines += ["", "[[neighbours.calibrations]]", *_lines(calibration)]
    return "\n".join([*lines, ""])


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in table.items()]


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_value(one)}" for key, one in value.items()) + " }"
    return value.isoformat() if isinstance(value, datetime) else json.dumps(value, ensure_ascii=False)


def registry_digest(registry: Registry, given: Path | None, site: Site) -> str:
    """SHA-256 of what a bundle would hold of a site's registry, in hexadecimal."""
    with tempfile.TemporaryDirectory() as name:
        write_site_registry(registry, given, site, Path(name))
        return digest_in(Path(name))


def digest_in(folder: Path) -> str:
    """SHA-256 of names and contents of all files below a folder, in hexadecimal."""
    files = [(name, hashlib.sha256(content).hexdigest()) for name, content in files_in(folder)]
    return hashlib.sha256(msgspec.json.encode(files)).hexdigest()


def names_in(folder: Path) -> list[str]:
    """Names of all files below a folder, in order."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def files_in(folder: Path) -> Iterable[tuple[str, bytes]]:
    """Names and contents of all files below a folder, by name."""
    for name in names_in(folder):
        yield name, (folder / name).read_bytes()
