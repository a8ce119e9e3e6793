"""``greenmine grafana``: dashboards, alerts and organisations of Grafana, from code."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import cyclopts
from rich.console import Console

from grafana.access import Access, load_access
from grafana.dashboards import as_text, dashboards
from grafana.edition import Edition
from grafana.files import MOUNTED, write
from grafana.messages import LANGUAGES
from grafana.organisation import Organisation, organisations
from grafana.provision import Change
from grafana.provision import provision as provision_all
from grafana.server import GrafanaError, Server
from greenmine.registry import Registry, load_registry
from greenmine.settings import Settings
from greenmine.storage.influx import InfluxError, load_tokens
from greenmine.tables import DataFileError

app = cyclopts.App(name="grafana", help="Dashboards, alerts and organisations of Grafana, from code.")


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
        for name, board in dashboards(Edition(registry, language, datetime.now(UTC).date())).items():
            (folder / f"{name}.json").write_text(as_text(board), "utf-8")


@app.command
def provision(*, data: Path | None = None, dry_run: bool = False) -> None:
    """Make organisations, data sources, folders, dashboards, alerts, contacts and users; done twice, nothing changes.

    What it did not make it does not touch.

    Parameters
    ----------
    data
        Directory of the installation, which holds the read tokens of `greenmine influx provision`. Default: GREENMINE_DATA, or var.
    dry_run
        Show what would be done, and change nothing.
    """
    settings = Settings() if data is None else Settings(data=data)
    if settings.grafana_url is None or settings.grafana_password is None:
        raise SystemExit("greenmine grafana provision: set GREENMINE_GRAFANA_URL and GREENMINE_GRAFANA_PASSWORD")
    wanted, access = _wanted(settings, "provision")
    console = Console()
    count = 0

    def tell(change: Change) -> None:
        nonlocal count
        count += change.action != "leave"
        detail = f" ({change.detail})" if change.detail else ""
        console.print(
            f"{change.organisation}: {change.action} {change.kind} {change.name}{detail}", markup=False, soft_wrap=True
        )

    password = settings.grafana_password.get_secret_value()
    try:
        with Server(settings.grafana_url, settings.grafana_user, password) as server:
            provision_all(server, wanted, access, tell, dry=dry_run)
    except GrafanaError as error:
        raise SystemExit(f"greenmine grafana provision: {error}") from error
    console.print(f"{count} changes{' would be made' if dry_run else ''}, {len(wanted)} organisations.")


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
    wanted, _ = _wanted(settings, "files")
    for path in write(wanted[0], out, mounted=mounted, token=token):
        Console().print(str(path), markup=False, soft_wrap=True)


def _wanted(settings: Settings, command: str) -> tuple[list[Organisation], Access]:
    url = settings.grafana_influx_url or settings.influx_url
    if url is None:
        raise SystemExit(f"greenmine grafana {command}: set GREENMINE_INFLUX_URL, or GREENMINE_GRAFANA_INFLUX_URL")
    registry = _registry(settings, command)
    try:
        tokens = {bucket: found.read for bucket, found in load_tokens(settings).items()}
        access = load_access(settings.grafana_access, registry)
        return organisations(registry, datetime.now(UTC).date(), url, tokens, access), access
    except (DataFileError, InfluxError, ValueError) as error:
        raise SystemExit(f"greenmine grafana {command}: {error}") from error


def _registry(settings: Settings, command: str) -> Registry:
    try:
        return load_registry(settings.registry)
    except DataFileError as error:
        raise SystemExit(f"greenmine grafana {command}: {error}") from error
