"""``greenmine init``: secrets, certificates and configuration of an installation."""

from __future__ import annotations

import grp
import ipaddress
import os
import re
import secrets
import string
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from greenmine.cli.authority import Authority, expiry, named_hosts
from greenmine.collector.mqtt.broker import TEMPLATE as BROKER
from greenmine.collector.mqtt.broker import broker_configuration
from greenmine.collector.mqtt.credentials import (
    COLLECTOR,
    HEALTH,
    INGRESS,
    MONITOR,
    NOTIFIER,
    SIMULATOR,
    CredentialError,
    Credentials,
)
from greenmine.files import replace
from greenmine.loading import load_registry
from greenmine.registry import DEFAULT, Registry, RegistryError
from greenmine.settings import Settings

DEVICE_PORT: Final = 8883
"""Where devices are let in."""
BROKER_PORT: Final = 8882
"""Of the broker on this machine's loopback, behind that; in a container it is `DEVICE_PORT`."""
SIMULATOR_PORT: Final = 8884
FIRST_PORT: Final = 18831
"""Of the broker on this machine's loopback before its first start, for a moment."""

BROKER_PID: Final = "/run/greenmine-broker/mosquitto.pid"
"""Where the broker writes its process's number without Docker."""
IMAGE_GROUP: Final = 10001
"""Group of the user in the Dockerfile."""

_TEMPLATES: Final = Path(__file__).parent / "deployment"
_ACCOUNTS: Final = {
    COLLECTOR: "greenmine_broker_password",
    MONITOR: "broker_monitor_password",
    HEALTH: "broker_health_password",
    NOTIFIER: "greenmine_notify_broker_password",
    INGRESS: "greenmine_ingress_password",
}
"""Accounts at the broker that belong to no device, and the files of their passwords."""
_SECRETS: Final = (
    "influxdb_admin_password",
    "greenmine_influx_admin_token",
    "greenmine_grafana_password",
    "grafana_secret_key",
)
_INSIDE: Final = ("localhost", "127.0.0.1", "::1")
_READABLE: Final = 0o640
_FOLDER: Final = 0o750
_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.(?!-)[A-Za-z0-9-]{1,63})*")


class _Template(string.Template):
    """With at signs, as dollars mean something to nginx and systemd."""

    delimiter = "@"
    pattern = r"@(?:(?P<escaped>@)|(?P<named>[a-z_]+)@|(?P<braced>(?!))|(?P<invalid>(?!)))"  # type: ignore[assignment]


def init(
    directory: Path = Path(),
    /,
    *,
    host: Annotated[list[str] | None, Parameter(negative="")] = None,
    group: str | None = None,
    simulator: Annotated[bool, Parameter(negative="")] = False,
    without_docker: Annotated[bool, Parameter(negative="")] = False,
    renew_certificates: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make what an installation needs before its first start: secrets, a certificate authority, certificates, configuration.

    Every secret is random, and there is no default password. What exists is kept; a file that was removed is made anew.

    Parameters
    ----------
    directory
        Of the installation: where docker-compose.yml lies. Default: the working directory.
    host
        Name or address by which devices and people reach this machine; may be given several times. The first one stands
        in addresses. Needed the first time, and whenever certificates for other names are wanted.
    group
        Group (name or number) that may read what services need to read. Default: the caller's; for root, that of the image.
        Without Docker it is needed.
    simulator
        Also make an account for `greenmine simulate`, which may publish as any device. Not for mines with real devices.
    without_docker
        Write paths of this machine, settings in .env and units for systemd, instead of what docker-compose.yml needs.
    renew_certificates
        Make the servers' certificates anew, by the same authority: devices need not be touched.
    """
    try:
        installation = _Installation(directory.resolve(), host, group, docker=not without_docker)
        installation.make(Settings().registry or DEFAULT, simulator=simulator, renew=renew_certificates)
    except (RegistryError, CredentialError, ValueError, OSError) as error:
        raise SystemExit(f"greenmine init: {error}") from error


class _Installation:
    """A directory in the making."""

    def __init__(self, directory: Path, hosts: list[str] | None, group: str | None, *, docker: bool) -> None:
        self.directory = directory
        self.docker = docker
        self.group = _group(group, docker=docker)
        certificate = directory / "proxy" / "server.crt"
        if hosts:
            self.hosts = [_checked(host) for host in hosts]
        elif certificate.exists():
            self.hosts = [name for name in named_hosts(certificate) if name not in _INSIDE] or ["localhost"]
        else:
            raise ValueError("--host is needed: the name or address by which devices and people reach this machine")

    def make(self, registry: Path, *, simulator: bool, renew: bool) -> None:
        for name in (".", "authority", "broker", "proxy", "secrets"):
            self._folder(name)
        self._certificates(renew=renew)
        self._registry(registry)
        for name in _SECRETS:
            if self._missing(f"secrets/{name}"):
                self._write(f"secrets/{name}", secrets.token_urlsafe(32))
        self._accounts(load_registry(self.directory / "registry"), simulator=simulator)
        self._configuration(simulator=simulator)
        if not self.docker:
            self._units()
        self._environment()

    def _folder(self, name: str) -> None:
        folder = self.directory / name
        if not folder.is_dir():
            folder.mkdir(parents=True)
            os.chown(folder, -1, self.group)
            folder.chmod(_FOLDER)

    def _missing(self, name: str) -> bool:
        """Whether a file is to be made; says so if it is kept."""
        if (self.directory / name).exists():
            _say("kept", name)
            return False
        return True

    def _write(self, name: str, content: str) -> None:
        replace(self.directory / name, content, _READABLE, self.group)
        _say("made", name)

    def _certificates(self, *, renew: bool) -> None:
        now = datetime.now(UTC)
        certificate, key = (self.directory / "authority" / name for name in ("ca.crt", "ca.key"))
        if certificate.exists() and key.exists():
            authority = Authority.read(certificate, key)
            _say("kept", "authority/ca.crt", f"until {expiry(certificate):%Y-%m-%d}")
        elif certificate.exists():
            raise ValueError(
                f"{key} is missing; put it back, or remove {certificate} too and have all devices trust a new one"
            )
        else:
            authority = Authority.make(f"greenmine {self.hosts[0]}", now)
            authority.write(certificate, key)
            _say("made", "authority/ca.crt", f"until {expiry(certificate):%Y-%m-%d}")
        for server, names in (("broker", ("broker", *_INSIDE)), ("proxy", _INSIDE)):
            certificate, key = (self.directory / server / name for name in ("server.crt", "server.key"))
            hosts = list(dict.fromkeys((*self.hosts, *names)))
            if renew or not (certificate.exists() and key.exists()):
                authority.issue(hosts, certificate, key, now)
                _say("made", f"{server}/server.crt", f"until {expiry(certificate):%Y-%m-%d} for {', '.join(hosts)}")
                continue
            _say("kept", f"{server}/server.crt", f"until {expiry(certificate):%Y-%m-%d}")
            if foreign := set(hosts) - set(named_hosts(certificate)):
                _say("note", f"{server}/server.crt", f"is not for {', '.join(sorted(foreign))}: --renew-certificates")

    def _registry(self, source: Path) -> None:
        """Copy a registry to begin with, for editing."""
        if not self._missing("registry"):
            return
        for path in sorted(source.rglob("*.toml")):
            name = Path("registry") / path.relative_to(source)
            for folder in (name.parents[-2], name.parent):
                self._folder(str(folder))
            replace(self.directory / name, path.read_bytes(), _READABLE, self.group)
        _say("made", "registry", "to be edited: your mines, stations and devices")

    def _accounts(self, registry: Registry, *, simulator: bool) -> None:
        credentials = Credentials(self.directory / "broker", registry)
        wanted = _ACCOUNTS | ({SIMULATOR: "simulator_password"} if simulator else {})
        for account, name in wanted.items():
            there = account in credentials.accounts()
            if not (there and (self.directory / "secrets" / name).exists()):
                self._write(f"secrets/{name}", credentials.add(account, renew=True))
            else:
                _say("kept", f"secrets/{name}")
        credentials.refresh()

    def _configuration(self, *, simulator: bool) -> None:
        plain, playing = self._broker(simulator=False), self._broker(simulator=True)
        path = self.directory / "broker" / "mosquitto.conf"
        there = path.read_text() if path.exists() else None
        if simulator and there == plain:
            path.unlink()
        self._render("broker/mosquitto.conf", playing if simulator or there == playing else plain)
        self._render("broker/start.sh", _filled("start-broker.sh", self._start()))
        self._render("proxy/nginx.conf", _filled("nginx.conf", self._proxy()))

    def _places(self) -> tuple[str, str]:
        """Where the broker's files and its state lie, as it sees them."""
        if self.docker:
            return "/mosquitto/config", "/mosquitto/data"
        return str(self.directory / "broker"), "/var/lib/greenmine-broker"

    def _start(self) -> dict[str, str]:
        """What is filled in in the script that starts the broker."""
        files, state = self._places()
        return {"files": files, "state": state, "user": "mosquitto", "first_port": str(FIRST_PORT)}

    def _broker(self, *, simulator: bool) -> str:
        """Mosquitto's configuration, with or without the simulator's door."""
        files, state = self._places()
        pid = "/tmp/mosquitto.pid" if self.docker else BROKER_PID  # noqa: S108 - in a container
        doors = [("mosquitto-tls.conf", str(DEVICE_PORT) if self.docker else f"{BROKER_PORT} 127.0.0.1")]
        if simulator:
            doors.append(("mosquitto-simulator.conf", f"{SIMULATOR_PORT}{'' if self.docker else ' 127.0.0.1'}"))
        access = "\n".join(
            string.Template(BROKER.with_name(name).read_text()).substitute(
                files=files, port=port, pid=pid, user="mosquitto"
            )
            for name, port in doors
        )
        return broker_configuration(access, Path(state), queue=0)  # what is before it stops in time

    def _proxy(self) -> dict[str, str]:
        """What is filled in in nginx's configuration."""
        common = {"grafana_port": "3443", "health_port": "8081"}
        if self.docker:
            return common | {
                "run": "/tmp",  # noqa: S108 - in a container
                "files": "/etc/greenmine",
                "resolver": "resolver 127.0.0.11 valid=10s;",
                "web": "http://api:8000",
                "grafana": "http://grafana:3000",
                "web_port": "8443",
            }
        return common | {
            "run": "/run/greenmine-proxy",
            "files": str(self.directory / "proxy"),
            "resolver": "",
            "web": "http://127.0.0.1:8000",
            "grafana": "http://127.0.0.1:3000",
            "web_port": "443",
        }

    def _render(self, name: str, content: str) -> None:
        """Write a file that may have been edited since: then it is kept, and a difference is told."""
        path = self.directory / name
        if not path.exists():
            self._write(name, content)
        elif path.read_text() == content:
            _say("kept", name)
        else:
            _say("kept", name, "differs from what would be written now; remove it to have it made anew")

    def _units(self) -> None:
        self._folder("systemd")
        places = {
            "directory": str(self.directory),
            "greenmine": str(Path(sys.executable).with_name("greenmine")),
            "user": "greenmine",
            "group": str(self.group),
        }
        for template in sorted((*_TEMPLATES.glob("*.service"), *_TEMPLATES.glob("*.timer"))):
            self._render(f"systemd/{template.name}", _filled(template.name, places))

    def _environment(self) -> None:
        """Add what is missing in ``.env``."""
        first = self.hosts[0]
        address = f"[{first}]" if ":" in first else first
        lines = {"GREENMINE_PUBLIC_URL": f"https://{address}"}
        if self.docker:
            lines |= {
                "COMPOSE_PROJECT_NAME": "greenmine",
                "GREENMINE_GRAFANA_PUBLIC_URL": f"https://{address}:3443",
                "GREENMINE_UID": str(os.getuid()),
                "GREENMINE_GID": str(self.group),
            }
        else:
            lines |= {
                "GREENMINE_DATA": "/var/lib/greenmine",
                "GREENMINE_REGISTRY": str(self.directory / "registry"),
                "GREENMINE_SECRETS": str(self.directory / "secrets"),
                "GREENMINE_BROKER_HOST": "localhost",
                "GREENMINE_BROKER_PORT": str(BROKER_PORT),
                "GREENMINE_BROKER_TLS": "true",
                "GREENMINE_BROKER_CA": str(self.directory / "authority" / "ca.crt"),
                "GREENMINE_BROKER_USER": COLLECTOR,
                "GREENMINE_INGRESS_HOST": "0.0.0.0",  # noqa: S104 - devices come from outside
                "GREENMINE_INGRESS_PORT": str(DEVICE_PORT),
                "GREENMINE_INGRESS_USER": INGRESS,
                "GREENMINE_NOTIFY_BROKER_USER": NOTIFIER,
                "GREENMINE_BROKER_FILES": str(self.directory / "broker"),
                "GREENMINE_BROKER_PID": BROKER_PID,
                "GREENMINE_TRUSTED_PROXIES": "127.0.0.1",
            }
        path = self.directory / ".env"
        before = path.read_text() if path.exists() else ""
        named = set(re.findall(r"^\s*(\w+)\s*=", before, re.MULTILINE))
        added = "".join(f"{name}={value}\n" for name, value in lines.items() if name not in named)
        if added:
            self._write(".env", before + ("\n" if before and not before.endswith("\n") else "") + added)
        else:
            _say("kept", ".env")


def _filled(name: str, places: Mapping[str, str]) -> str:
    return _Template((_TEMPLATES / name).read_text()).substitute(places)


def _checked(host: str) -> str:
    """A host as it may stand in a certificate and in an address."""
    if not (_HOST.fullmatch(host) and len(host) <= 253) and not _is_address(host):
        raise ValueError(f"--host '{host}' is neither a host name, such as mines.example.org, nor an address")
    return host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _group(group: str | None, *, docker: bool) -> int:
    if group is None:
        if not docker:
            raise ValueError("--group is needed: the group that the services have in common, such as greenmine")
        return os.getgid() if os.getuid() else IMAGE_GROUP
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ValueError(f"there is no group '{group}' on this machine") from None


def _say(what: str, name: str, more: str = "") -> None:
    sys.stdout.write(f"{what}  {name}{f'  {more}' if more else ''}\n")
