"""What the demo's Grafana and InfluxDB hold: set up, filled, and kept up to date by a process of its own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, TypeVar

import urllib3
from rich.console import Console
from urllib3.exceptions import HTTPError

from greenmine.cli.boards import BOARDS, HERE, passwords_of
from greenmine.cli.influx import project
from greenmine.cli.visitors import ADMINISTRATOR, SUPERVISOR
from greenmine.grafana.access import DISTRICT, Access, GrafanaUser
from greenmine.grafana.influx.influx import InfluxError, UnavailableError, load_tokens
from greenmine.grafana.influx.influx_provision import buckets, provision
from greenmine.grafana.organisation import organisations
from greenmine.grafana.provision import provision as provision_grafana
from greenmine.grafana.server import GrafanaError, GrafanaServer, UnreachableError
from greenmine.loading import load_registry
from greenmine.registry import Registry
from greenmine.settings import Settings

_AGAIN: Final = 20.0
"""After how long what Grafana did not do is tried again [s]."""
_LONG: Final = 30.0
"""After which a server that still does not answer is named [s]."""
_PATIENCE: Final = 10.0
"""Longest time for an answer [s]."""
_LOOK: Final = 0.5
"""How often a server that does not answer yet is asked [s]."""
_Made = TypeVar("_Made")


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
    passwords = passwords_of(settings)
    places = _places(registry)
    users = tuple(GrafanaUser(id=name, login=name, organisation=place) for name, place in places.items())
    access = Access(users=users, passwords={name: passwords[name] for name in places if name in passwords})
    tokens = load_tokens(settings)
    read = {name: tokens[name].read for name in buckets(registry)}
    url, pages = settings.grafana_influx_url or settings.influx_url or "", f"http://{HERE}:{settings.port}"
    wanted = organisations(registry, datetime.now(UTC).date(), url, read, access, pages)
    with GrafanaServer(
        settings.grafana_url, settings.grafana_user, settings.grafana_password.get_secret_value()
    ) as server:
        return provision_grafana(server, wanted, access, lambda _: None)


def _strangers(settings: Settings, registry: Registry) -> list[str]:
    """Accounts of the demo's names that Grafana does not let in with the demo's passwords: somebody made them before."""
    address, passwords = f"{(settings.grafana_url or '').rstrip('/')}/api/user", passwords_of(settings)
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
