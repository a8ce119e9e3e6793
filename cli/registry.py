"""``greenmine registry``: check and list the mines, stations and devices of an installation."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import cyclopts
from rich.console import Console
from rich.table import Table

from greenmine.loading import load_registry
from greenmine.registry import Registry, RegistryError
from greenmine.settings import Settings

app = cyclopts.App(name="registry", help="Check and list the mines, stations and devices of an installation.")


@app.command
def check(path: Path | None = None, /) -> None:
    """Check a registry: every fault with its file, its place and what would be right.

    Prints a summary and exits with 0, or prints all faults to standard error and exits with 1.

    Parameters
    ----------
    path : Path, optional
        Directory with enterprises.toml, profiles.toml and sites/*.toml. Without it, the registry of the settings
        (GREENMINE_REGISTRY) is checked, or the one that ships with greenmine.
    """
    registry = loaded_registry(path)
    devices = sum(len(site.devices) for site in registry.sites)
    stations = sum(len(site.stations) for site in registry.sites)
    sys.stdout.write(
        f"The registry is sound: {len(registry.enterprises)} enterprises, {len(registry.sites)} sites, "
        f"{stations} stations, {devices} devices, {len(registry.channels)} channels, {len(registry.rules)} rules.\n"
        f"Digest: {registry.digest}\n"
    )


@app.command(name="list")
def list_(*, registry: Path | None = None, format: Literal["text", "json"] = "text") -> None:  # noqa: A002 -- the option's name
    """List the sites with their products and stations.

    Parameters
    ----------
    registry : Path, optional
        Directory of the registry. Without it, that of the settings (GREENMINE_REGISTRY), or the one that ships with
        greenmine.
    format : {"text", "json"}
        A table to read, or a JSON list with one object for each site.
    """
    loaded = loaded_registry(registry)
    if format == "json":
        rows = [
            {
                "site": site.id,
                "name": site.name_zh,
                "enterprise": site.enterprise,
                "product": site.product_zh,
                "stations": [station.id for station in site.stations],
            }
            for site in loaded.sites
        ]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2) + "\n")
        return
    table = Table("site", "product", "scale", "stations")
    table.add_column("name", overflow="fold")  # a Chinese name has no spaces to wrap at, and must not be cut
    for site in loaded.sites:
        name, product = f"{site.name_zh}\n{site.name_en}", f"{site.product_zh}\n{site.product_en}"
        table.add_row(site.id, product, site.scale, str(len(site.stations)), name)
    Console().print(table)


def loaded_registry(path: Path | None, also: Iterable[str] = ()) -> Registry:
    """The registry, or its faults on standard error and the end of the program; see ``load_registry``."""
    try:
        return load_registry(path or Settings().registry, also)
    except RegistryError as error:
        count = len(error.faults)
        sys.stderr.write("".join(f"{fault}\n" for fault in error.faults))
        sys.stderr.write(f"{count} {'fault' if count == 1 else 'faults'} in the registry.\n")
        raise SystemExit(1) from None
