"""``greenmine grafana``: dashboards, alerts and organisations of Grafana, from code."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final, NoReturn

import cyclopts
from cyclopts import Parameter
from rich.console import Console

from greenmine.grafana.access import Access, load_access
from greenmine.grafana.dashboards import as_text, dashboards
from greenmine.grafana.edition import Edition
from greenmine.grafana.files import MOUNTED, write
from greenmine.grafana.influx.influx import InfluxError, Tokens, load_tokens
from greenmine.grafana.influx.influx_provision import buckets
from greenmine.grafana.organisation import organisations
from greenmine.grafana.provision import ProvisionChange
from greenmine.grafana.provision import provision as provision_all
from greenmine.grafana.server import GrafanaError, GrafanaServer
from greenmine.loading import load_registry
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.tables import DataFileError
from greenmine.wording.messages import LANGUAGES

app = cyclopts.App(name="grafana", help="Dashboards, alerts and organisations of Grafana, from code.")

_LOOK: Final = 10.0
"""How often registry, tokens and access are looked at [s]."""
_AGAIN: Final = 60.0
"""After how long what failed is tried again [s]."""
_ANYWAY: Final = 3_600.0
"""How often Grafana is set right although nothing changed here [s]."""


@app.command
def build(*, out: Path) -> None:
    """Write the district's dashboards as JSON, in Chinese and English, to import them by hand.

    Parameters
    ----------
    out
        Folder; it gets a folder for each language.
    """
    registry = _registry(Settings(), "build")
    for language in LANGUAGES:
        folder = out / language
        folder.mkdir(parents=True, exist_ok=True)
        for name, board in dashboards(Edition(language, registry, datetime.now(UTC).date())).items():
            (folder / f"{name}.json").write_text(as_text(board), "utf-8")


@app.command
def provision(
    *,
    data: Path | None = None,
    dry_run: bool = False,
    watch: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Make organisations, data sources, folders, dashboards, alerts, contacts and users; done twice, nothing changes.

    What it did not make it does not touch. What fails is told at the end, and the rest is done all the same.

    Parameters
    ----------
    data
        Directory of the installation, which holds the read tokens of `greenmine influx provision`. Default: GREENMINE_DATA, or var.
    dry_run
        Show what would be done, and change nothing.
    watch
        Do it again whenever registry, tokens or the file of users and contacts change, at the beginning of a day, and every hour;
        until Ctrl-C.
    """
    settings = Settings() if data is None else Settings(data=data)
    if settings.grafana_url is None or settings.grafana_password is None:
        raise SystemExit("greenmine grafana provision: set GREENMINE_GRAFANA_URL and GREENMINE_GRAFANA_PASSWORD")
    if watch and dry_run:
        raise SystemExit("greenmine grafana provision: --watch and --dry-run exclude each other")
    if watch:
        _watch(settings)
    faults = _provision(settings, _given(settings, "provision"), dry=dry_run)
    if faults:
        raise SystemExit(_told(faults))


def _watch(settings: Settings) -> NoReturn:
    """Provision for ever; what cannot be done is told, and tried again a minute later."""
    done: _Given | None = None
    due = 0.0
    while True:
        try:
            given = _given(settings, "provision")
            if given != done or time.monotonic() >= due:
                faults = _provision(settings, given, quiet=True)
                done, due = given, time.monotonic() + (_AGAIN if faults else _ANYWAY)
                if faults:
                    sys.stderr.write(f"{_told(faults)}\n")
        except SystemExit as error:
            sys.stderr.write(f"{error}\n")
            time.sleep(_AGAIN)
        time.sleep(_LOOK)


def _provision(settings: Settings, given: _Given, *, dry: bool = False, quiet: bool = False) -> list[str]:
    """Provision once and tell what was done; what failed."""
    assert settings.grafana_url is not None
    assert settings.grafana_password is not None
    wanted = organisations(given.registry, given.day, given.url, given.tokens, given.access, given.pages)
    console = Console()
    count = 0

    def tell(change: ProvisionChange) -> None:
        nonlocal count
        count += change.action != "leave"
        detail = f" ({change.detail})" if change.detail else ""
        console.print(
            f"{change.organisation}: {change.action} {change.kind} {change.name}{detail}", markup=False, soft_wrap=True
        )

    password = settings.grafana_password.get_secret_value()
    try:
        with GrafanaServer(settings.grafana_url, settings.grafana_user, password) as server:
            faults = provision_all(server, wanted, given.access, tell, dry=dry)
    except GrafanaError as error:
        raise SystemExit(f"greenmine grafana provision: {error}") from error
    if count or not quiet:
        console.print(f"{count} changes{' would be made' if dry else ''}, {len(wanted)} organisations.")
    return faults


def _told(faults: Sequence[str]) -> str:
    return "\n".join(["greenmine grafana provision: not everything could be done; run it again", *faults])


@app.command
def files(*, out: Path, mounted: str = MOUNTED, token: str = "", data: Path | None = None) -> None:
    """Write files by which Grafana provisions the district's organisation itself, such as in a container.

    Parameters
    ----------
    out
        Folder for them.
    mounted
        Path under which Grafana finds that folder.
    token
        How Grafana gets the read token of the district's bucket: $__file{/run/secrets/NAME} or ${NAME}. Without it the data source
        asks without a token.
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    settings = Settings() if data is None else Settings(data=data)
    given = _given(settings, "files")
    wanted = organisations(given.registry, given.day, given.url, given.tokens, given.access, given.pages)
    for path in write(wanted[0], out, mounted=mounted, token=token):
        Console().print(str(path), markup=False, soft_wrap=True)


@dataclass(frozen=True)
class _Given:
    """All that decides on what Grafana is to hold."""

    registry: Registry
    day: date
    url: str
    tokens: Mapping[str, str]
    access: Access
    pages: str


def _given(settings: Settings, command: str) -> _Given:
    url = settings.grafana_influx_url or settings.influx_url
    if url is None:
        raise SystemExit(f"greenmine grafana {command}: set GREENMINE_INFLUX_URL, or GREENMINE_GRAFANA_INFLUX_URL")
    registry = _registry(settings, command)
    try:
        found = load_tokens(settings)
        tokens = {name: found.get(name, Tokens()).read for name in buckets(registry)}
        access = load_access(settings.grafana_access, registry)
    except (DataFileError, InfluxError, ValueError) as error:
        raise SystemExit(f"greenmine grafana {command}: {error}") from error
    pages = settings.public_url.split(",")[0].strip().rstrip("/")
    return _Given(registry, datetime.now(UTC).date(), url, tokens, access, pages)


def _registry(settings: Settings, command: str) -> Registry:
    try:
        return load_registry(settings.registry)
    except DataFileError as error:
        raise SystemExit(f"greenmine grafana {command}: {error}") from error
