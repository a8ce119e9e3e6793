"""Grafana and InfluxDB in the demo: started where their programs are installed, or those that its caller names."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from greenmine.api.accounts.secret import new_secret
from greenmine.cli.visitors import ADMINISTRATOR, PASSWORDS
from greenmine.collector.mqtt.broker import dying_with_us
from greenmine.files import replace
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
    "GF_METRICS_ENABLED": "false",
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

HERE: Final = "127.0.0.1"
"""Both servers and the pages are for this machine only."""
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
    own = f"http://{HERE}:{grafana}"
    replace(path, json.dumps(known | {"address": own}), 0o600)
    fresh = {name: field.default for name, field in Settings.model_fields.items() if name.startswith(_OTHERS)}
    return settings.model_copy(
        update=fresh
        | {
            "influx_url": f"http://{HERE}:{influx}",
            "influx_admin_token": SecretStr(known["influxdb"]),
            "grafana_url": own,
            "grafana_user": ADMINISTRATOR,
            "grafana_password": SecretStr(passwords_of(settings)[ADMINISTRATOR]),
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
        "GF_SERVER_HTTP_ADDR": HERE,
        "GF_SERVER_HTTP_PORT": _port_of(settings.grafana_url),
        "GF_SERVER_ROOT_URL": settings.grafana_url or "",
        "GF_SECURITY_ADMIN_USER": settings.grafana_user,
        "GF_SECURITY_ADMIN_PASSWORD": settings.grafana_password.get_secret_value(),
        "GF_SECURITY_SECRET_KEY": secret,
        "GF_LOG_LEVEL": "warn",
    }  # fmt: skip
    files = [f"--bolt-path={folder / 'influxd.bolt'}", f"--engine-path={folder / 'engine'}", "--log-level=error"]
    address = f"--http-bind-address={HERE}:{_port_of(settings.influx_url)}"
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


def _programs() -> tuple[str, str, Path] | None:
    """Programs of InfluxDB and Grafana, and Grafana's home."""
    influxd, grafana = shutil.which("influxd", path=_PLACES), shutil.which("grafana", path=_PLACES)
    home = Path(os.environ.get("GF_PATHS_HOME", _HOME))
    return (influxd, grafana, home) if influxd and grafana and (home / "conf" / "defaults.ini").exists() else None


def passwords_of(settings: Settings) -> dict[str, str]:
    """Read passwords of the demo's accounts, by name."""
    found: dict[str, str] = json.loads((settings.data / PASSWORDS).read_text())
    return found


def _ports() -> tuple[int, int]:
    """A free port for Grafana, its own if it can be had, and one for InfluxDB."""
    with socket.socket() as grafana, socket.socket() as influx:
        grafana.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            grafana.bind((HERE, _PORT))
        except OSError:
            grafana.bind((HERE, 0))
        influx.bind((HERE, 0))
        return int(grafana.getsockname()[1]), int(influx.getsockname()[1])


def _port_of(url: str | None) -> str:
    return (url or "").rpartition(":")[2]
