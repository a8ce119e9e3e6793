"""Nobody sees what is another's, nor can tell it from what is not there: all operations, all roles, own, foreign, missing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from greenmine.api.accounts.accounts import Accounts
from greenmine.api.accounts.users import UserRole
from greenmine.notify.store import Notices
from greenmine.notify.targets import Webhook
from greenmine.record.record import open_engine
from greenmine.registry import DEFAULT, Registry
from greenmine.settings import Settings
from greenmine.times import local
from tests.api.filling import add_bundle, add_exceedance, add_reading, fill
from tests.api.isolation_rules import HARMLESS, OWNED, RULES, Rule
from tests.api.operations import Operation, operations
from tests.api.serving import serving
from tests.api.signing import accounts_in, bearer, ensure_user, now
from tests.api.test_events import events
from tests.records import record_in

OWN, FOREIGN, MISSING = "jiuchi", "hengjie", "nowhere"
PUBLIC = "jianggao"
"""The site whose page of daily compliance everybody may see."""
OPERATIONS = [operation for operation in operations() if operation.id in RULES]
ROLES: dict[str, tuple[UserRole, tuple[str, ...]]] = {
    "administrator": ("administrator", ()),
    "supervisor": ("supervisor", ()),
    "township": ("township", ("九池乡",)),
    "enterprise": ("enterprise", (OWN,)),
    "evaluator": ("evaluator", ()),
}
CALLERS = [
    "administrator", "administrator's token", "supervisor", "supervisor's token", "township", "township's token", "enterprise",
    "enterprise's token", "enterprise's reading token", "token of one site", "evaluator", "evaluator's token", "public",
]  # fmt: skip
WIDE = {"administrator", "administrator's token", "supervisor", "supervisor's token"}
NARROW = [caller for caller in CALLERS if caller not in WIDE]
ALLOWED = {
    "open": set(CALLERS),
    "callers": set(CALLERS) - {"public"},
    "commenters": WIDE | {"township", "township's token", "enterprise", "enterprise's token", "token of one site"},
    "actors": {c for c in WIDE if "administrator" in c} | {"enterprise", "enterprise's token", "token of one site"},
    "overseers": WIDE,
    "signed in": set(ROLES),
    "enterprises": {"enterprise"},
    "administrators": {"administrator"},
    "office": {"administrator", "enterprise"},
    "notifiers": {"administrator", "administrator's token", "enterprise", "enterprise's token"},
    "subscribers": {
        "administrator",
        "administrator's token",
        "enterprise",
        "enterprise's token",
        "enterprise's reading token",
    },
}


class World(NamedTuple):
    """A server, its callers, and what belongs to whom."""

    clients: dict[str, httpx.Client]
    accounts: Accounts
    notices: Notices
    data: Path
    things: dict[str, dict[str, str]]
    """By site, or 'nowhere': what can be named in a request, as text."""
    registry: Registry

    def belongings(self, operation: Operation, rule: Rule, caller: str, side: str) -> dict[str, str]:
        """What stands for the parameters of an operation on a side: the caller's own, another's, or nobody's."""
        named = self.things[side] | {"change": "987654"}
        if rule.number == "subscription":
            named["number"] = self._subscribed(named["site"], exists=side != MISSING)
        elif rule.number in {"session", "token", "user"} and "number" in operation.parameters:
            named["number"] = self._made(rule.number, caller if side == OWN else "stranger", exists=side != MISSING)
        else:
            named["number"] = named[rule.number]
        named["entry"] = named[rule.entry]
        return named

    def sign_in(self, name: str) -> None:
        """Begin a session in the client of a role."""
        role, enterprises = ROLES[name]
        cookie = self.accounts.sessions.begin(ensure_user(self.accounts, name, role, *enterprises), now())
        found = self.accounts.sessions.find(cookie, now())
        assert found is not None
        self.clients[name].headers.update({"Cookie": f"greenmine={cookie}", "X-CSRF-Token": found[0].csrf})

    def _subscribed(self, site: str, *, exists: bool) -> str:
        if not exists:
            return "987654"
        more = {"events": ["exceedance-opened"], "author": f"who looks after {site}"}
        subscriptions = self.notices.subscriptions
        made = subscriptions.add(site, f"control room of {site}", Webhook(f"https://{site}.cn/"), now(), **more)
        owned = subscriptions.of([site])
        for earlier in owned[: max(0, len(owned) - 3)]:
            subscriptions.remove(earlier)
        return str(made.id)

    def _made(self, kind: str, caller: str, *, exists: bool) -> str:
        if not exists:
            return "987654"
        name = person(caller)
        accounts = self.accounts
        if kind == "user":
            return str(ensure_user(accounts, "victim", "supervisor").id)
        user = (
            ensure_user(accounts, name, ROLES[name][0], *ROLES[name][1])
            if name in ROLES
            else ensure_user(accounts, name, "evaluator")
        )
        if kind == "session":
            accounts.sessions.begin(user, now() + 1)
            return str(max(session.id for session in accounts.sessions.of_user(user, now())))
        accounts.tokens.add(user, "isolation", now(), days=1)
        return str(accounts.tokens.of_user(user)[0].id)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[World]:
    data = tmp_path_factory.mktemp("isolation")
    shutil.copytree(DEFAULT, data / "registry")
    moment = now()
    engine = fill(record_in(data), registry, moment)
    things = {site: _things(registry, site, moment) for site in (OWN, FOREIGN)}
    with accounts_in(data) as accounts, closing(Notices(Settings(data=data))) as notices:
        users = {name: ensure_user(accounts, name, role, *enterprises) for name, (role, enterprises) in ROLES.items()}
        headers = {
            f"{name}'s token": bearer(accounts.tokens.add(user, "t", moment, days=1, write=True))
            for name, user in users.items()
        }
        headers["enterprise's reading token"] = bearer(accounts.tokens.add(users["enterprise"], "r", moment, days=1))
        headers["token of one site"] = bearer(
            accounts.tokens.add(users["administrator"], "s", moment, days=1, write=True, sites=[OWN])
        )
        accounts.publications.switch(PUBLIC, moment, public=True)
        with serving(data, registry) as address:
            clients = {
                name: httpx.Client(base_url=address, headers={"Origin": address} | headers.get(name, {}), timeout=20)
                for name in CALLERS
            }
            _populate(clients["administrator's token"], engine, data, registry, things, moment)
            things[MISSING] = {
                "site": MISSING, "station": "nothing", "channel": f"{MISSING}/nothing/pm10", "rule": f"{MISSING}/nothing/none",
                "start": things[FOREIGN]["start"], "parameter": things[FOREIGN]["parameter"],
                "exceedance": "987654", "request": "987654", "entry": "987654", "bundle": "987654", "share": "987654",
                "assessed": "987654", "upload": "987654",
            }  # fmt: skip
            world = World(clients, accounts, notices, data, things, registry)
            for name in ROLES:
                world.sign_in(name)
            yield world
            for client in clients.values():
                client.close()
    engine.dispose()


def _things(registry: Registry, site: str, moment: int) -> dict[str, str]:
    rule = next(r for r in registry.rules if r.site == site and r.limit.kind == "legal" and r.limit.window == "hour")
    start = local((moment // 3_600_000 - 2) * 3_600_000, "Asia/Shanghai")
    return {
        "site": site,
        "station": rule.station,
        "channel": registry.channels[rule.channel].key,
        "rule": rule.key,
        "start": start.isoformat(),
        "parameter": registry.channels[rule.channel].parameter.id,
    }


def _populate(
    client: httpx.Client, engine: Any, data: Path, registry: Registry, things: dict[str, dict[str, str]], moment: int
) -> None:
    """Exceedances, marks that were asked for, and attachments, on either side."""
    for site in (OWN, FOREIGN):
        rule = next(r for r in registry.rules if r.key == things[site]["rule"])
        number = add_exceedance(engine, rule, moment - 7_200_000, moment - 3_600_000, moment - 3_600_000)
        answer = client.post(
            f"/api/v1/exceedances/{number}/attachments", params={"name": "secret.txt"}, content=b"what the mine did"
        )
        assert answer.status_code == 201, answer.text
        mark = {
            "site": site, "station": things[site]["station"], "start": things[site]["start"], "kind": "maintenance",
            "end": local(moment - 1_000, "Asia/Shanghai").isoformat(), "reason": f"only {site} may know",
        }  # fmt: skip
        asked = client.post("/api/v1/marks", json=mark)
        assert asked.status_code == 202, asked.text
        handed = client.post(
            "/api/v1/uploads",
            params={"site": site, "station": "boundary", "name": f"secret-{site}.csv", "columns": "pm10=dust"},
            content=b"time,dust\n2025-03-01 01:00,41\n2025-03-01 01:01,42\n",
        )
        assert handed.status_code == 202, handed.text
        things[site] |= {
            "exceedance": str(number),
            "entry": str(answer.json()["id"]),
            "request": str(asked.json()["id"]),
            "upload": str(handed.json()["id"]),
            **_evidence(client, engine, data, site),
        }


def _evidence(client: httpx.Client, engine: Any, data: Path, site: str) -> dict[str, str]:
    """A bundle that somebody else may fetch, and a document at a requirement item."""
    number, _ = add_bundle(engine, data, site)
    share = client.post(f"/api/v1/bundles/{number}/shares", json={"receiver": f"for {site}", "days": 7})
    assert share.status_code == 201, share.text
    proof = client.post(
        "/api/v1/assessments/attachments",
        params={"site": site, "item": "降尘降噪", "name": "plan.txt"},
        content=b"plan",
    )
    assert proof.status_code == 201, proof.text
    return {"bundle": str(number), "share": str(share.json()["id"]), "assessed": str(proof.json()["id"])}


def send(
    client: httpx.Client,
    operation: Operation,
    rule: Rule,
    named: dict[str, str],
    chosen: tuple[str, ...] = (),
    query: Mapping[str, str] = MappingProxyType({}),
) -> httpx.Response:
    """A request of an operation with what is named, ``chosen`` optional parameters among it."""
    values = named | dict(rule.given)
    path = re.sub(r"\{(\w+)\}", lambda match: values[match[1]], operation.path)
    given = {name: values[name] for name in (*rule.needed, *chosen)}
    given |= {name: value for name, value in rule.given.items() if f"{{{name}}}" not in operation.path}
    sent: dict[str, Any] = {}
    if rule.body is not None:
        sent["json"] = {
            name: value.format(**values) if isinstance(value, str) else value for name, value in rule.body.items()
        }
    if rule.form is not None:
        sent["data"] = {name: value.format(**values) for name, value in rule.form.items()}
    with client.stream(operation.method, path, params=given | dict(query), **sent) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            next(events(answer))
            answer._content = b""
        else:
            answer.read()
    return answer


def owned(operation: Operation, rule: Rule) -> list[tuple[str, ...]]:
    """Choices of optional parameters that name something: none, and each; a station is named with its site."""
    optional = [
        p for p in operation.parameters if p in OWNED and f"{{{p}}}" not in operation.path and p not in rule.needed
    ]
    return [(), *(("site", "station") if p == "station" else (p,) for p in optional)]


def names_something(operation: Operation, rule: Rule, chosen: tuple[str, ...]) -> bool:
    texts = [operation.path, *map(str, (rule.body or {}).values()), *(rule.form or {}).values()]
    return bool(chosen) or any(p in OWNED for p in rule.needed) or any("{" in text for text in texts)


def neutral(answer: httpx.Response, named: dict[str, str]) -> tuple[int, str, list[tuple[str, str]]]:
    """An answer without what was asked for, which it may repeat, and without what changes all the time."""
    text = answer.text
    for value in sorted(set(named.values()), key=len, reverse=True):
        text = re.sub(rf"(?<![\w-]){re.escape(value)}(?![\w-])", "…", text)
    text = re.sub(r'<span class="clock">.*?</span>', "", text)
    changing = {"date", "content-length", "set-cookie"}
    headers = sorted((name, value) for name, value in answer.headers.items() if name not in changing)
    return answer.status_code, text, headers


def traces(registry: Registry, allowed: set[str], text: str) -> list[str]:
    """What a text tells of sites beyond the allowed."""
    found: list[str] = []
    for site in registry.sites:
        if site.id not in allowed:
            names = {site.id, site.name_zh, site.name_en, site.enterprise}
            found += [name for name in names if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]
    return found


def person(caller: str) -> str:
    return "administrator" if caller == "token of one site" else caller.split("'", maxsplit=1)[0]


def scope_of(caller: str) -> set[str]:
    return {OWN} if person(caller) in {"enterprise", "township"} or caller == "token of one site" else set()


def test_every_operation_has_a_rule_and_every_rule_an_operation() -> None:
    assert {operation.id for operation in operations()} == set(RULES)


def test_every_parameter_is_known_to_name_something_or_not() -> None:
    assert {p for operation in operations() for p in operation.parameters} - OWNED - HARMLESS == set()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_roles_get_what_is_theirs(world: World, operation: Operation) -> None:
    """Without this, all other tests could hold because nothing works at all."""
    rule = RULES[operation.id]
    for caller in CALLERS if not operation.path.startswith("/static/") else ["public"]:
        side = PUBLIC if operation.path.startswith("/public/") else OWN
        named = {"site": PUBLIC} if side == PUBLIC else world.belongings(operation, rule, caller, OWN)
        answer = send(world.clients[caller], operation, rule, named)
        if operation.id == "POST /sign-out" and caller in ROLES:
            world.sign_in(caller)
        status = answer.status_code
        if caller in ALLOWED[rule.who]:
            if caller.startswith("evaluator") and rule.who == "callers" and names_something(operation, rule, ()):
                assert status == 404, (caller, answer.text)
            else:
                nothing_yet = caller.startswith("evaluator") and rule.form and "{site}" in rule.form.values()
                assert status in ((404,) if nothing_yet else rule.ok), (caller, answer.text)
        elif caller == "public":
            assert status == 401, answer.text
            assert answer.headers["www-authenticate"].startswith("Bearer")
        else:
            assert status in {403, 404}, (caller, answer.text)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_what_is_anothers_is_as_if_it_were_not_there(world: World, operation: Operation) -> None:
    rule = RULES[operation.id]
    for caller in NARROW:
        for chosen in owned(operation, rule):
            if not names_something(operation, rule, chosen):
                continue
            sides = {side: world.belongings(operation, rule, caller, side) for side in (FOREIGN, MISSING)}
            answers = {
                side: send(world.clients[caller], operation, rule, named, chosen) for side, named in sides.items()
            }
            assert neutral(answers[FOREIGN], sides[FOREIGN]) == neutral(answers[MISSING], sides[MISSING]), (
                caller,
                chosen,
            )
            assert 400 <= answers[FOREIGN].status_code <= 404, (caller, chosen)


@pytest.mark.parametrize("caller", [caller for caller in NARROW if scope_of(caller)])
def test_own_and_anothers_parts_do_not_mix(world: World, caller: str) -> None:
    """A path that begins with one's own and ends with another's leads nowhere."""
    client = world.clients[caller]
    own, foreign, missing = (world.things[side] for side in (OWN, FOREIGN, MISSING))
    for entry in (foreign["entry"], missing["entry"]):
        answer = client.get(f"/api/v1/exceedances/{own['exceedance']}/attachments/{entry}")
        assert answer.status_code == 404
        assert f"no attachment {entry} at exceedance {own['exceedance']}" in answer.json()["detail"]
    for parameters in ({"site": OWN, "channel": foreign["channel"]}, {"site": FOREIGN, "channel": own["channel"]}):
        for path in ("conflicts", "late", "readings"):
            answer = client.get(f"/api/v1/{path}", params=parameters)
            assert answer.status_code in {400, 404}
            assert foreign["station"] + "/" not in answer.text.replace(foreign["channel"], "")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_no_answer_tells_of_anothers(world: World, operation: Operation) -> None:
    rule = RULES[operation.id]
    if (
        rule.who in {"administrators", "overseers"}
        or operation.method != "GET"
        or operation.path.startswith("/static/")
    ):
        return
    formats = ["csv"] if "format" in operation.parameters and "format" not in rule.given else []
    for caller in NARROW:
        allowed = {PUBLIC} if operation.path.startswith("/public") else scope_of(caller)
        named = world.belongings(operation, rule, caller, OWN)
        for chosen in owned(operation, rule):
            for query in ({}, *({"format": name} for name in formats)):
                answer = send(world.clients[caller], operation, rule, named, chosen, query)
                repeated = set() if answer.status_code < 400 else {OWN}
                assert traces(world.registry, allowed | repeated, answer.text) == [], (caller, chosen)


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.method == "GET"], ids=lambda operation: operation.id)
def test_no_parameter_leads_to_anothers(world: World, operation: Operation) -> None:
    """Cursors of others, and another's names in every parameter that there is."""
    rule = RULES[operation.id]
    foreign = world.belongings(operation, rule, "enterprise's token", FOREIGN)
    own = world.belongings(operation, rule, "enterprise's token", OWN)
    client = world.clients["enterprise's token"]
    cursor = "1"
    if "size" in operation.parameters:
        whole = send(world.clients["administrator's token"], operation, rule, foreign, (), {"size": "1"})
        cursor = whole.json()["next"] or cursor
    for parameter in operation.parameters:
        if f"{{{parameter}}}" in operation.path or parameter in {"lang", "bom", *rule.given, *rule.needed}:
            continue
        for value in (cursor,) if parameter in {"cursor", "before"} else (foreign.get(parameter, FOREIGN), "%"):
            answer = send(client, operation, rule, own, (), {parameter: value})
            if answer.status_code < 400 and rule.who not in {"administrators", "overseers", "open"}:
                text = answer.text.replace(f"{parameter}={value}", "")
                assert traces(world.registry, {OWN}, text) == [], (parameter, value)


@pytest.mark.parametrize("caller", ["enterprise", "enterprise's token", "token of one site"])
def test_the_live_stream_carries_ones_own_only(world: World, caller: str) -> None:
    engine = open_engine(record_in(world.data))
    rules = {
        site: next(rule for rule in world.registry.rules if rule.key == world.things[site]["rule"])
        for site in (OWN, FOREIGN)
    }
    with world.clients[caller].stream("GET", "/api/v1/events") as answer:
        found = events(answer)
        assert next(found)[0] == "ready"
        for site in (FOREIGN, OWN):
            channel = world.registry.channels[rules[site].channel]
            add_reading(engine, channel, now(), 1.0)
            add_exceedance(engine, rules[site], now(), now())
        told = [next(found), next(found)]
    engine.dispose()
    assert {kind for kind, _, _ in told} == {"latest", "exceedance"}
    assert traces(world.registry, {OWN}, msgspec.json.encode(told).decode()) == []
