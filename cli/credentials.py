"""``greenmine device add``, ``list``, ``revoke``, ``refresh``: accounts of devices at the broker."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from greenmine.collector.jetstream.accounts import ACCOUNTS, NATS_SERVICES, NatsCredentials
from greenmine.collector.mqtt.credentials import (
    RIGHTS,
    SERVICES,
    SIMULATOR,
    CredentialError,
    Credentials,
    alarm_readers,
    device_rights,
    reload,
)
from greenmine.loading import load_registry
from greenmine.registry import Registry, RegistryError
from greenmine.settings import Settings
from greenmine.tables import nearest

_OUTSIDERS: Final = frozenset({*SERVICES, *NATS_SERVICES})
"""Accounts of services: no device's, and nobody's who reads alarms."""
T = TypeVar("T")
Format = Literal["text", "json"]

_HOW: Final = (
    "Now have the broker read it: docker compose kill -s HUP broker, or systemctl reload greenmine-broker. "
    "With GREENMINE_BROKER_PID set, this command does it."
)


def register(app: cyclopts.App) -> None:
    """Add the commands to the app ``device``."""
    app.command(add)
    app.command(list_, name="list")
    app.command(revoke)
    app.command(refresh)


def add(
    device: str,
    /,
    *,
    renew: Annotated[bool, Parameter(negative="")] = False,
    format: Format = "text",  # noqa: A002 - the option's name
) -> None:
    """Give a device an account at the broker, and show its password: this once, it is kept nowhere.

    The device may publish its own readings and status, and read nothing. An account alarms@ENTERPRISE reads the alarms of an
    enterprise that are told at the broker, and publishes nothing; alarms those of the district.

    Parameters
    ----------
    device
        SITE/DEVICE as in the registry; or alarms@ENTERPRISE, or alarms.
    renew
        Replace the password of an account that exists; the old one is void.
    format
        Lines to read, or JSON.
    """
    settings = Settings()
    registry = _registry(settings)
    given = alarm_readers(registry).get(device) or _device_rights(registry, device)
    password = _done(lambda: _credentials(settings, registry).add(device, renew=renew))
    topics = [right.partition(" ")[2] for right in given]
    if format == "json":
        sys.stdout.write(json.dumps({"user": device, "password": password, "topics": topics}) + "\n")
    else:
        sys.stdout.write(f"user      {device}\npassword  {password}\n")
        sys.stdout.write("".join(f"topic     {topic}\n" for topic in topics))
    _tell(settings)


def list_(*, format: Format = "text") -> None:  # noqa: A002 - the option's name
    """List the devices of the registry and whether they have an account, and accounts without a device.

    Parameters
    ----------
    format
        A table to read, or a JSON list.
    """
    settings = Settings()
    registry = _registry(settings)
    accounts = _done(_credentials(settings, registry).accounts)
    devices = [f"{site.id}/{device.id}" for site in registry.sites for device in site.devices]
    rows: list[dict[str, str | bool]] = [
        {"user": device, "account": device in accounts, "registered": True} for device in devices
    ]
    readers = alarm_readers(registry)
    others = (account for account in accounts if account not in devices and account not in _OUTSIDERS)
    rows += [{"user": account, "account": True, "registered": account in readers} for account in others]
    if format == "json":
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    table = Table("device", "account")
    for row in rows:
        table.add_row(str(row["user"]), _state(row))
    Console().print(table)


def revoke(account: str, /) -> None:
    """Take a device's account away; when the broker has read the change, the device is disconnected and stays out.

    Parameters
    ----------
    account
        SITE/DEVICE, which need not be in the registry any more; or simulator.
    """
    settings = Settings()
    if account in _OUTSIDERS and account != SIMULATOR:
        raise SystemExit(f"greenmine device: '{account}' is no device; `greenmine init` makes the services' accounts")
    _done(lambda: _credentials(settings, _registry(settings)).revoke(account))
    sys.stdout.write(f"{account} has no account any more.\n")
    _tell(settings)


def refresh() -> None:
    """Write the rights of all accounts anew, after a change of the registry."""
    settings = Settings()
    _done(_credentials(settings, _registry(settings)).refresh)
    sys.stdout.write(f"{settings.broker_files / (RIGHTS if settings.jetstream is None else ACCOUNTS)} is written.\n")
    _tell(settings)


def _credentials(settings: Settings, registry: Registry) -> Credentials:
    """The accounts of the broker that is in use."""
    return (Credentials if settings.jetstream is None else NatsCredentials)(settings.broker_files, registry)


def _device_rights(registry: Registry, device: str) -> tuple[str, ...]:
    site, _, name = device.partition("/")
    try:
        entry = registry.device(site, name)
    except KeyError:
        known = (f"{s.id}/{d.id}" for s in registry.sites for d in s.devices)
        raise SystemExit(f"greenmine device: the registry has no device '{device}'; {nearest(device, known)}") from None
    return device_rights(site, entry, registry.profiles[entry.profile])


def _registry(settings: Settings) -> Registry:
    try:
        return load_registry(settings.registry)
    except RegistryError as error:
        raise SystemExit(f"greenmine device: {error}") from error


def _done(work: Callable[[], T]) -> T:
    """Do it, or end with the reason why it cannot be done."""
    try:
        return work()
    except (CredentialError, OSError) as error:
        raise SystemExit(f"greenmine device: {error}") from error


def _state(row: dict[str, str | bool]) -> str:
    if not row["registered"]:
        return "yes, but without rights: not in the registry"
    return "yes" if row["account"] else "no"


def _tell(settings: Settings) -> None:
    """Have the broker read its files, or say on standard error how that is done."""
    pid: Path | None = settings.broker_pid
    if pid is None:
        sys.stderr.write(f"{_HOW}\n")
    else:
        _done(lambda: reload(pid))
        sys.stderr.write("The broker has been told.\n")
