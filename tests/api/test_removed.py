"""A mine that has left the registry, and a station that has: the record keeps their rows, and no answer fails for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection, insert

from greenmine.loading import DEFAULT, load_registry
from greenmine.notify.store import Notices
from greenmine.record import schema
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.api.filling import fill, number_of
from tests.api.isolation_rules import RULES
from tests.api.operations import Operation, operations
from tests.api.serving import serving
from tests.api.signing import accounts_in, bearer, ensure_user, now
from tests.api.test_isolation import FOREIGN as GONE
from tests.api.test_isolation import OWN as CHANGED
from tests.api.test_isolation import ROLES, World, _populate, _things, owned, send, traces
from tests.records import record_in

ASKED = [o for o in operations() if o.id in RULES and o.id != "POST /sign-out" and not o.path.startswith("/static/")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[World]:
    """A record of five mines; one of them has left the registry since, and a station of another."""
    data = tmp_path_factory.mktemp("removed")
    moment = now()
    engine = fill(record_in(data), registry, moment)
    things = {site: _things(registry, site, moment) for site in (CHANGED, GONE)}
    with engine.begin() as connection:
        for site in (CHANGED, GONE):
            _more(connection, registry, site, things[site], moment)
    with accounts_in(data) as accounts, closing(Notices(Settings(data=data))) as notices:
        users = {name: ensure_user(accounts, name, role, *enterprises) for name, (role, enterprises) in ROLES.items()}
        headers = bearer(accounts.tokens.add(users["administrator"], "t", moment, days=1, write=True))
        for site in (CHANGED, GONE):
            accounts.publications.switch(site, moment, public=True)
        with serving(data, registry) as address, httpx.Client(base_url=address, headers=headers, timeout=20) as client:
            _populate(client, engine, data, registry, things, moment)
            for site in (CHANGED, GONE):
                handed = {"receiver": "an evaluator", "days": 7, "evaluator": "evaluator"}
                answer = client.post(f"/api/v1/bundles/{things[site]['bundle']}/shares", json=handed)
                assert answer.status_code == 201, answer.text
        with serving(data, _later(data)) as address:
            clients = {name: httpx.Client(base_url=address, headers={"Origin": address}, timeout=20) for name in ROLES}
            found = World(clients, accounts, notices, data, things, registry)
            for name in ROLES:
                found.sign_in(name)
            yield found
            for client in clients.values():
                client.close()
    engine.dispose()


def _more(connection: Connection, registry: Registry, site: str, things: dict[str, str], moment: int) -> None:
    """What `fill` leaves out, of a mine."""
    channel = number_of(next(c for c in registry.channels if c.key == things["channel"]))
    minute = {"start": moment - 60_000, "end": moment}
    here = {"site": site, "device": "boundary-dust"}
    odd = {"channel": channel, "time": moment - 60_000, "value": 1.0, "flag": "N", "received": moment}
    mark = {"kind": "stop", "reason": "rest", "author": "li", "made": moment}
    refused = {"topic": "t", "reason": "not-json", "detail": "", "readings": 1, "size": 1, "payload": b"{"}
    asked_back = {"found": moment, "state": "open", "filled": 0, "source": "", "asked": 0, "changed": moment}
    reported = {"command": "2051", "revision": 0, "latest": True, "flag": "N", "received": moment}
    for table, row in (
        (schema.mark, {"site": site, "station": things["station"], **minute, **mark}),
        (schema.rejection, {**here, "received": moment, **refused}),
        (schema.conflict, odd),
        (schema.late, odd),
        (schema.health, {"channel": channel, "state": "silent", "since": moment, "detail": ""}),
        (schema.sequence_gap, {**here, "first": 3, "last": 4}),
        (schema.sealed_day, {"site": site, "day": "2026-06-01"}),
        (schema.gap, {**here, **minute, **asked_back}),
        (schema.information, {**here, "received": moment, "command": "3020", "content": "[]"}),
        (schema.reported, {"channel": channel, **minute, **reported}),
    ):
        connection.execute(insert(table).values(row))


def _later(data: Path) -> Registry:
    folder = data / "registry"
    shutil.copytree(DEFAULT, folder)
    (folder / "sites" / f"{GONE}.toml").unlink()
    site = folder / "sites" / f"{CHANGED}.toml"
    site.write_text(site.read_text().replace('"boundary"', '"fence"').replace('role = "fence"', 'role = "boundary"'))
    registry = load_registry(folder)
    assert {station.id for station in registry.site(CHANGED).stations} >= {"fence"}
    return registry


@pytest.mark.parametrize("operation", ASKED, ids=lambda operation: operation.id)
def test_what_has_left_the_registry_makes_no_answer_fail(world: World, operation: Operation) -> None:
    rule = RULES[operation.id]
    for caller in ROLES:
        for side in (CHANGED, GONE):
            named = (
                {"site": side}
                if operation.path.startswith("/public/")
                else world.belongings(operation, rule, caller, side)
            )
            for chosen in owned(operation, rule):
                answer = send(world.clients[caller], operation, rule, named, chosen)
                assert answer.status_code < 500, (caller, side, chosen, answer.text)


@pytest.mark.parametrize("caller", ["administrator", "supervisor"])
@pytest.mark.parametrize("path", ["marks", "mark-requests", "exceedances", "rejections", "bundles", "loggers/gaps"])
def test_lists_show_the_mines_of_the_registry(world: World, caller: str, path: str) -> None:
    answer = world.clients[caller].get(f"/api/v1/{path}", params={"size": 500})
    assert answer.status_code == 200
    assert CHANGED in answer.text
    found = traces(world.registry, {s.id for s in world.registry.sites} - {GONE}, answer.text)
    # What came for a mine that the registry does not have is an administrator's to see.
    assert found == ([GONE] if (caller, path) == ("administrator", "rejections") else [])
