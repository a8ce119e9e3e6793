"""Grafana and InfluxDB in the demo: started where their programs are installed, or those that its caller names."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeVar

import urllib3
from pydantic import SecretStr
from rich.console import Console
from urllib3.exceptions import HTTPError

from greenmine.api.accounts.secret import new_secret
from greenmine.cli.influx import project
from greenmine.cli.visitors import ADMINISTRATOR, PASSWORDS, SUPERVISOR
from greenmine.collector.mqtt.broker import dying_with_us
from greenmine.files import replace
from greenmine.grafana.access import DISTRICT, Access, GrafanaUser
from greenmine.grafana.influx.influx import InfluxError, UnavailableError, load_tokens
from greenmine.grafana.influx.influx_provision import buckets, provision
from greenmine.grafana.organisation import organisations
from greenmine.grafana.provision import provision as provision_grafana
from greenmine.grafana.server import GrafanaError, GrafanaServer, UnreachableError
from greenmine.loading import load_registry
from greenmine.registry import Registry
from greenmine.settings import Settings

GRAFANA: Final = {
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    "GF_USERS_ALLOW_SIGN_UP": "false",
    "GF_USERS_ALLOW_ORG_CREATE": "false",
    "GF_USERS_DEFAULT_LANGUAGE": "zh-Hans",
    "GF_AUTH_ANONYMOUS_ENABLED": "false",
    "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED": "true",
    "GF_SECURITY_DATA_SOURCE_PROXY_WHITELIST": "none.invalid:1",
    "GF_GEOMAP_ENABLE_CUSTOM_BASELAYERS": "false",
    "GF_UNIFIED_ALERTING_ALERTMANAGER_CONFIG_POLL_INTERVAL": "10s",
}
"""Settings of Grafana, those of docker-compose.yml."""
INFLUXDB: Final = {
    "INFLUXD_REPORTING_DISABLED": "true",
    "INFLUXD_METRICS_DISABLED": "true",
    "INFLUXD_PPROF_DISABLED": "true",
    "INFLUXD_UI_DISABLED": "true",
}
"""Settings of InfluxDB, likewise."""

_HERE: Final = "127.0.0.1"
_PORT: Final = 3000
"""Where people expect Grafana."""
BOARDS: Final = "demo-boards"
"""File in the data directory with Grafana's address and the secrets of both servers; only its owner reads it."""
_HOME: Final = Path("/usr/share/grafana")
"""Where packages of Grafana put its pages and defaults; GF_PATHS_HOME names another place."""
_PLACES: Final = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", str(_HOME / "bin")))
_OTHERS: Final = ("influx_", "grafana_")
"""Settings about servers of an installation begin so."""
_LOOK: Final = 0.5
"""How often a server that does not answer yet is asked [s]."""
_AGAIN: Final = 20.0
"""After how long what Grafana did not do is tried again [s]."""
_LONG: Final = 30.0
"""After which a server that still does not answer is named [s]."""
_PATIENCE: Final = 10.0
"""Longest time for an answer [s]."""
_Made = TypeVar("_Made")


def with_boards(settings: Settings, address: str | None = None) -> Settings | None:
    """Settings with Grafana and InfluxDB; None where no address is given and their programs are not installed.

    Servers that the environment names are those of an installation: without an address the demo has nothing to do with them.

    Parameters
    ----------
    settings : Settings
        Of the demo.
    address : str, optional
        Of a Grafana that the demo may fill, with the account and the InfluxDB that settings name.

    Raises
    ------
    ValueError
        The settings lack what the address needs.
    """
    if address is not None:
        if settings.influx_url is None or settings.influx_admin_token is None or settings.grafana_password is None:
            raise ValueError(
                "--grafana needs GREENMINE_GRAFANA_PASSWORD, GREENMINE_INFLUX_URL and GREENMINE_INFLUX_ADMIN_TOKEN"
            )
        return settings.model_copy(update={"grafana_url": address, "influx_tokens": None})
    if _programs() is None:
        return None
    path = settings.data / BOARDS
    known = json.loads(path.read_text()) if path.exists() else {"grafana": new_secret(), "influxdb": new_secret()}
    grafana, influx = _ports()
    own = f"http://{_HERE}:{grafana}"
    replace(path, json.dumps(known | {"address": own}), 0o600)
    fresh = {name: field.default for name, field in Settings.model_fields.items() if name.startswith(_OTHERS)}
    return settings.model_copy(
        update=fresh
        | {
            "influx_url": f"http://{_HERE}:{influx}",
            "influx_admin_token": SecretStr(known["influxdb"]),
            "grafana_url": own,
            "grafana_user": ADMINISTRATOR,
            "grafana_password": SecretStr(_passwords(settings)[ADMINISTRATOR]),
        }
    )


def serve(settings: Settings, stop: threading.Event) -> None:
    """Run both servers until ``stop`` is set: a process of the demo.

    Raises
    ------
    OSError
        One of them ended by itself.
    """
    found = _programs()
    if found is None:
        raise OSError("grafana and influxd are not installed any more")
    influxd, grafana, home = found
    folder = (settings.data / "boards").resolve()
    folder.mkdir(mode=0o700, exist_ok=True)
    secret = json.loads((settings.data / BOARDS).read_text())["grafana"]
    assert settings.grafana_password is not None
    own = {"PATH": _PLACES, "HOME": str(folder)}
    given = own | GRAFANA | {
        "GF_PATHS_DATA": str(folder / "grafana"),
        "GF_PATHS_LOGS": str(folder / "grafana"),
        "GF_PATHS_PLUGINS": str(folder / "plugins"),
        "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
        "GF_SERVER_HTTP_ADDR": _HERE,
        "GF_SERVER_HTTP_PORT": _port_of(settings.grafana_url),
        "GF_SERVER_ROOT_URL": settings.grafana_url or "",
        "GF_SECURITY_ADMIN_USER": settings.grafana_user,
        "GF_SECURITY_ADMIN_PASSWORD": settings.grafana_password.get_secret_value(),
        "GF_SECURITY_SECRET_KEY": secret,
        "GF_LOG_LEVEL": "warn",
    }  # fmt: skip
    files = [f"--bolt-path={folder / 'influxd.bolt'}", f"--engine-path={folder / 'engine'}", "--log-level=error"]
    address = f"--http-bind-address={_HERE}:{_port_of(settings.influx_url)}"
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name, command, environment in (
            ("influxd", [influxd, address, *files], own | INFLUXDB),
            ("grafana", [grafana, "server", f"--homepath={home}"], given),
        ):
            with (folder / f"{name}.log").open("ab") as log:
                started.append(
                    subprocess.Popen(  # noqa: S603 - the programs were looked up, the rest is ours
                        [*dying_with_us(), *command], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        process_group=0,
                    )
                )  # fmt: skip
        while not stop.wait(_LOOK):
            if any(process.poll() is not None for process in started):
                raise OSError(f"grafana or influxd ended; their logs are in {folder}")
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def fill(settings: Settings, stop: threading.Event) -> None:
    """Set both servers up, say where Grafana is, and keep InfluxDB up to date until ``stop`` is set: a process of the demo.

    Raises
    ------
    SystemExit
        InfluxDB answers, but does not let us.
    """
    registry = load_registry(settings.registry)
    try:
        if _own(settings):
            _await(stop, lambda: _set_up(settings))
        _await(stop, lambda: provision(settings, registry))
    except InfluxError as error:  # of a server that was named wrongly: in words, and tried again later
        raise SystemExit(f"greenmine demo: {error}") from error
    if not stop.is_set():
        threading.Thread(target=_show, args=(settings, registry, stop), daemon=True).start()
        project(settings, stop)


def _show(settings: Settings, registry: Registry, stop: threading.Event) -> None:
    """Fill Grafana and print its address; what could not be done is said once, and tried again until it is."""
    console, said = Console(stderr=True), False
    while faults := _faults(settings, registry, stop):
        if not said:
            said = True
            console.print("Grafana: not everything could be done", *faults, sep="\n", markup=False, soft_wrap=True)
        if stop.wait(_AGAIN):
            return
    if not stop.is_set():
        console.print(
            f"Grafana: [bold]{settings.grafana_url}[/]  (sign in as {SUPERVISOR}, or as an enterprise, with the same password)",
            soft_wrap=True,
        )
        kept = _await(stop, lambda: _strangers(settings, registry))
        if kept:
            console.print(
                f"Grafana had these accounts before, and they keep the passwords they had: {', '.join(kept)}",
                soft_wrap=True,
            )


def _faults(settings: Settings, registry: Registry, stop: threading.Event) -> list[str] | None:
    """Fill Grafana; what could not be done."""
    try:
        return _await(stop, lambda: _provisioned(settings, registry))
    except GrafanaError as error:
        return [str(error)]


def _provisioned(settings: Settings, registry: Registry) -> list[str]:
    assert settings.grafana_url is not None
    assert settings.grafana_password is not None
    passwords = _passwords(settings)
    places = _places(registry)
    users = tuple(GrafanaUser(id=name, login=name, organisation=place) for name, place in places.items())
    access = Access(users=users, passwords={name: passwords[name] for name in places if name in passwords})
    tokens = load_tokens(settings)
    read = {name: tokens[name].read for name in buckets(registry)}
    url, pages = settings.grafana_influx_url or settings.influx_url or "", f"http://{_HERE}:{settings.port}"
    wanted = organisations(registry, datetime.now(UTC).date(), url, read, access, pages)
    with GrafanaServer(
        settings.grafana_url, settings.grafana_user, settings.grafana_password.get_secret_value()
    ) as server:
        return provision_grafana(server, wanted, access, lambda _: None)


def _strangers(settings: Settings, registry: Registry) -> list[str]:
    """Accounts of the demo's names that Grafana does not let in with the demo's passwords: somebody made them before."""
    address, passwords = f"{(settings.grafana_url or '').rstrip('/')}/api/user", _passwords(settings)
    kept = []
    for name in _places(registry).keys() & passwords.keys():
        headers = urllib3.make_headers(basic_auth=f"{name}:{passwords[name]}")
        answer = urllib3.request("GET", address, headers=headers, retries=False, timeout=_PATIENCE)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            kept.append(name)
    return sorted(kept)


def _own(settings: Settings) -> bool:
    """Whether the servers are the demo's own; its file may be there from before, too, where others are named."""
    path = settings.data / BOARDS
    return path.exists() and json.loads(path.read_text())["address"] == settings.grafana_url


def _places(registry: Registry) -> dict[str, str]:
    """Organisation of each account that Grafana gets."""
    return {SUPERVISOR: DISTRICT, **{enterprise.id: enterprise.id for enterprise in registry.enterprises}}


def _set_up(settings: Settings) -> None:
    """Give a new InfluxDB its organisation and the operator's token."""
    assert settings.influx_admin_token is not None
    token = settings.influx_admin_token.get_secret_value()
    account = {"username": ADMINISTRATOR, "password": token, "org": settings.influx_org, "bucket": "setup"}
    address = f"{settings.influx_url}/api/v2/setup"
    answer = urllib3.request("POST", address, json=account | {"token": token}, retries=False, timeout=_PATIENCE)
    if answer.status not in {201, 422}:  # 422: it has them already
        raise InfluxError(f"InfluxDB cannot be set up: it answers {answer.status}")


def _await(stop: threading.Event, step: Callable[[], _Made]) -> _Made | None:
    """What a step returns as soon as the server that it asks answers; None if ``stop`` is set before.

    Where that takes long, it is said once which server does not answer.
    """
    begun, told = time.monotonic(), False
    while not stop.wait(_LOOK):
        try:
            return step()
        except (HTTPError, UnavailableError, UnreachableError) as error:
            if isinstance(error, UnavailableError) and not error.silent:
                raise
            if not told and time.monotonic() - begun > _LONG:
                told = True
                Console(stderr=True).print(f"still waiting: {error}", markup=False, soft_wrap=True)
    return None


def _programs() -> tuple[str, str, Path] | None:
    """Programs of InfluxDB and Grafana, and Grafana's home."""
    influxd, grafana = shutil.which("influxd", path=_PLACES), shutil.which("grafana", path=_PLACES)
    home = Path(os.environ.get("GF_PATHS_HOME", _HOME))
    return (influxd, grafana, home) if influxd and grafana and (home / "conf" / "defaults.ini").exists() else None


def _passwords(settings: Settings) -> dict[str, str]:
    found: dict[str, str] = json.loads((settings.data / PASSWORDS).read_text())
    return found


def _ports() -> tuple[int, int]:
    """A free port for Grafana, its own if it can be had, and one for InfluxDB."""
    with socket.socket() as grafana, socket.socket() as influx:
        grafana.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            grafana.bind((_HERE, _PORT))
        except OSError:
            grafana.bind((_HERE, 0))
        influx.bind((_HERE, 0))
        return int(grafana.getsockname()[1]), int(influx.getsockname()[1])


def _port_of(url: str | None) -> str:
    return (url or "").rpartition(":")[2]
