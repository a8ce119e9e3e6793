"""A stand-in for Grafana: the semantics of its API as far as provisioning uses them, as `tests/real` finds them in Grafana itself.

Basic authentication; ``X-Grafana-Org-Id`` chooses the organisation and asks for
membership; data sources, folders and dashboards are unique by uid and by name within an organisation; a dashboard is saved only on
its newest version (412); secrets are taken and never told; alerting resources carry a provenance, which
``X-Disable-Provenance`` leaves empty; a contact point in use cannot be deleted; a policy must name a receiver that exists, and
comes back with its matchers sorted; an organisation has an Alertmanager's configuration only after Grafana has looked for new
ones, and until then its templates answer 500, its policies and contact points 404; a rule may keep its state since version 11.
"""

from __future__ import annotations

import base64
import copy
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.influxing import until
from tests.ports import free_ports

Json = dict[str, Any]
USER, PASSWORD = "admin", "a secret of the test"
_SECRET = {"url"}
_SECRET_TYPES = {"wecom"}


class Org:
    """One organisation."""

    def __init__(self, name: str, late: float = 0.0) -> None:
        self.name = name
        self.members: dict[int, str] = {}
        self.preferences: Json = {}
        self.sources: dict[str, Json] = {}
        self.folders: dict[str, Json] = {}
        self.rights: dict[str, list[Json]] = {}
        """In a folder: 1 is to see, 2 to edit, 4 to administer."""
        self.dashboards: dict[str, Json] = {}
        self.rules: dict[str, Json] = {}
        self.interval = 60
        """How often the rules of all groups are evaluated [s]."""
        self.contacts: dict[str, Json] = {}
        self.templates: dict[str, Json] = {}
        self.mute_timings: dict[str, Json] = {}
        self.alertmanager = time.monotonic() + late
        """When it gets its Alertmanager's configuration."""
        self.policies: Json = {"receiver": "grafana-default-email", "group_by": ["grafana_folder", "alertname"]}
        self.contacts["default"] = {
            "uid": "default",
            "name": "grafana-default-email",
            "type": "email",
            "settings": {"addresses": "<example@email.com>"},
            "provenance": "",
        }


class FakeGrafana:
    """State and routes."""

    def __init__(self) -> None:
        self._number = itertools.count(2)
        self.orgs = {1: Org("Main Org.")}
        self.accounts: dict[int, Json] = {1: {"id": 1, "login": USER, "password": PASSWORD}}
        self.orgs[1].members[1] = "Admin"
        self.version = "12.3.0"
        self.late = 0.0
        """How long a new organisation is without an Alertmanager's configuration [s]."""
        self.writes: list[tuple[str, str]] = []
        self.fail: Callable[[str, str], int] = lambda _method, _path: 0
        self.before_save: Callable[[Org, str], None] = lambda _org, _uid: None
        self.app = Starlette(
            routes=[Route("/api/{path:path}", self._answer, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])]
        )

    async def _answer(self, request: Request) -> Response:
        method, path = request.method, "/" + unquote(request.path_params["path"])
        if code := self.fail(method, path):
            return JSONResponse({"message": "as the test wants it"}, code)
        if path == "/health":
            return JSONResponse({"database": "ok", "version": self.version})
        try:
            account = self._account(request)
            if method != "GET":
                self.writes.append((method, path))
            return await self._route(request, method, path, account)
        except HTTPException as error:
            return JSONResponse({"message": error.detail}, error.status_code)

    def _account(self, request: Request) -> int:
        given = request.headers.get("Authorization", "")
        login, _, password = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")
        for number, account in self.accounts.items():
            if (account["login"], account["password"]) == (login, password):
                return number
        raise HTTPException(401, "Invalid username or password")

    async def _route(self, request: Request, method: str, path: str, account: int) -> Response:
        body = await request.json() if method in {"POST", "PUT", "PATCH"} else {}
        parts = path.strip("/").split("/")
        match method, parts:
            case "GET", ["orgs"]:
                page, size = int(request.query_params.get("page", 0)), int(request.query_params.get("perpage", 1000))
                rows = [{"id": n, "name": o.name} for n, o in sorted(self.orgs.items())]
                return JSONResponse(rows[page * size : (page + 1) * size])
            case "POST", ["orgs"]:
                if body["name"] in {o.name for o in self.orgs.values()}:
                    raise HTTPException(409, "Organization name taken")
                number = next(self._number)
                self.orgs[number] = Org(body["name"], self.late)
                self.orgs[number].members[account] = "Admin"
                return JSONResponse({"orgId": number, "message": "Organization created"})
            case "PUT", ["orgs", number]:
                self.orgs[int(number)].name = body["name"]
                return JSONResponse({"message": "Organization updated"})
            case "POST", ["orgs", number, "users"]:
                return self._join(self.orgs[int(number)], body)
            case "GET", ["user", "orgs"]:
                mine = [(n, o) for n, o in self.orgs.items() if account in o.members]
                return JSONResponse([{"orgId": n, "name": o.name, "role": o.members[account]} for n, o in mine])
            case "GET", ["users", "lookup"]:
                login = request.query_params["loginOrEmail"]
                found = next((a for a in self.accounts.values() if a["login"] == login), None)
                if found is None:
                    raise HTTPException(404, "user not found")
                return JSONResponse({"id": found["id"], "login": login})
            case "POST", ["admin", "users"]:
                if len(body["password"]) < 4:
                    raise HTTPException(400, "Password is missing or too short")
                number = next(self._number)
                self.accounts[number] = {"id": number, **body}
                self.orgs[body["OrgId"]].members[number] = "Viewer"
                return JSONResponse({"id": number, "message": "User created"})
        org = self._org(request, account)
        answers = {
            "org": self._of_org,
            "datasources": self._datasources,
            "folders": self._folders,
            "search": self._search,
            "dashboards": self._dashboards,
            "alert-rules": self._alert_rules,
            "folder": self._rule_groups,
            "contact-points": self._contact_points,
            "policies": self._policies,
            "templates": self._templates,
            "mute-timings": self._mute_timings,
        }
        name = parts[2] if parts[0] == "v1" else parts[0]
        if name not in answers:
            raise HTTPException(404, "Not found")
        if name in {"contact-points", "policies", "templates", "mute-timings"} and time.monotonic() < org.alertmanager:
            raise HTTPException(
                500 if name == "templates" else 404, "no Alertmanager configuration present in the organization"
            )
        return answers[name](org, method, parts, body, request)

    def _org(self, request: Request, account: int) -> Org:
        number = int(request.headers.get("X-Grafana-Org-Id", 1))
        if number not in self.orgs or account not in self.orgs[number].members:
            raise HTTPException(401, "Unauthorized")
        return self.orgs[number]

    def _join(self, org: Org, body: Json) -> Response:
        number = next((n for n, a in self.accounts.items() if a["login"] == body["loginOrEmail"]), None)
        if number is None:
            raise HTTPException(404, "user not found")
        if number in org.members:
            raise HTTPException(409, "User is already member of this organization")
        org.members[number] = body["role"]
        return JSONResponse({"message": "User added to organization", "userId": number})

    def _of_org(self, org: Org, method: str, parts: list[str], body: Json, _: Request) -> Response:
        match method, parts:
            case "GET", ["org", "users"]:
                return JSONResponse(
                    [{"userId": n, "login": self.accounts[n]["login"], "role": role} for n, role in org.members.items()]
                )
            case "POST", ["org", "users"]:
                return self._join(org, body)
            case "PATCH", ["org", "users", number]:
                org.members[int(number)] = body["role"]
                return JSONResponse({"message": "Organization user updated"})
            case "GET", ["org", "preferences"]:
                return JSONResponse(org.preferences)
            case "PATCH", ["org", "preferences"]:
                if body.get("homeDashboardUID", "") not in {"", *org.dashboards}:
                    raise HTTPException(404, "Dashboard not found")
                org.preferences |= body
                return JSONResponse({"message": "Preferences updated"})
        raise HTTPException(404, "Not found")

    def _datasources(self, org: Org, method: str, parts: list[str], body: Json, _: Request) -> Response:
        match method, parts:
            case "GET", ["datasources", "uid", uid]:
                if uid not in org.sources:
                    raise HTTPException(404, "Data source not found")
                return JSONResponse(_told(org.sources[uid]))
            case "POST", ["datasources"]:
                if any(body["name"] == s["name"] or body["uid"] == s["uid"] for s in org.sources.values()):
                    raise HTTPException(409, "data source with the same name already exists")
                org.sources[body["uid"]] = {"id": next(self._number), "isDefault": False, "readOnly": False, **body}
                return JSONResponse({"message": "Datasource added"})
            case "PUT", ["datasources", "uid", uid]:
                present = org.sources[uid]
                if present["readOnly"]:
                    raise HTTPException(403, "Cannot update read-only data source")
                org.sources[present["uid"]] = {"id": present["id"], "isDefault": False, "readOnly": False, **body}
                return JSONResponse({"message": "Datasource updated"})
        raise HTTPException(404, "Not found")

    def _folders(self, org: Org, method: str, parts: list[str], body: Json, _: Request) -> Response:
        match method, parts:
            case "GET", ["folders", uid]:
                if uid not in org.folders:
                    raise HTTPException(404, "folder not found")
                return JSONResponse(org.folders[uid])
            case "POST", ["folders"]:
                if any(body["title"] == f["title"] for f in org.folders.values()):
                    raise HTTPException(409, "a folder with the same name already exists in the current location")
                org.folders[body["uid"]] = {**body, "version": 1}
                org.rights[body["uid"]] = [{"role": "Viewer", "permission": 1}, {"role": "Editor", "permission": 2}]
                return JSONResponse(org.folders[body["uid"]])
            case "PUT", ["folders", uid]:
                if body.get("version") != org.folders[uid]["version"]:
                    raise HTTPException(412, "the folder has been changed by someone else")
                org.folders[uid] |= {"title": body["title"], "version": body["version"] + 1}
                return JSONResponse(org.folders[uid])
            case "GET", ["folders", uid, "permissions"]:
                if uid not in org.folders:
                    raise HTTPException(404, "folder not found")
                told = {"userId": 0, "teamId": 0, "inherited": False}
                return JSONResponse([told | row for row in org.rights.get(uid, [])])
            case "POST", ["folders", uid, "permissions"]:
                org.rights[uid] = body["items"]
                return JSONResponse({"message": "Folder permissions updated"})
        raise HTTPException(404, "Not found")

    def _search(self, org: Org, _m: str, _p: list[str], _b: Json, _r: Request) -> Response:
        return JSONResponse([{"uid": uid, "type": "dash-db"} for uid in org.dashboards])

    def _dashboards(self, org: Org, method: str, parts: list[str], body: Json, _: Request) -> Response:
        match method, parts:
            case "GET", ["dashboards", "uid", uid]:
                if uid not in org.dashboards:
                    raise HTTPException(404, "Dashboard not found")
                return JSONResponse(org.dashboards[uid])
            case "DELETE", ["dashboards", "uid", uid]:
                del org.dashboards[uid]
                return JSONResponse({"message": "deleted"})
            case "POST", ["dashboards", "db"]:
                return self._save(org, body)
        raise HTTPException(404, "Not found")

    def _save(self, org: Org, body: Json) -> Response:
        board, folder = body["dashboard"], body["folderUid"]
        self.before_save(org, board["uid"])
        if folder not in org.folders:
            raise HTTPException(400, "folder not found")
        present = org.dashboards.get(board["uid"])
        clash = any(
            d["dashboard"]["title"] == board["title"] and d["meta"]["folderUid"] == folder and uid != board["uid"]
            for uid, d in org.dashboards.items()
        )
        if clash or (present and board["id"] is None):
            raise HTTPException(412, "A dashboard with the same name in the folder already exists")
        if present and present["meta"]["provisioned"]:
            raise HTTPException(400, "Cannot save provisioned dashboard")
        if present and board["version"] != present["dashboard"]["version"]:
            raise HTTPException(412, "The dashboard has been changed by someone else")
        version = present["dashboard"]["version"] + 1 if present else 1
        number = present["dashboard"]["id"] if present else next(self._number)
        saved = {**copy.deepcopy(board), "id": number, "version": version}
        org.dashboards[board["uid"]] = {"dashboard": saved, "meta": {"folderUid": folder, "provisioned": False}}
        return JSONResponse({"id": number, "uid": board["uid"], "version": version, "status": "success"})

    def _alert_rules(self, org: Org, method: str, parts: list[str], body: Json, request: Request) -> Response:
        match method, parts[3:]:
            case "GET", []:
                return JSONResponse(list(org.rules.values()))
            case "POST", []:
                if body["uid"] in org.rules or any(r["title"] == body["title"] for r in org.rules.values()):
                    raise HTTPException(409, "a conflicting alert rule is found")
                self._check_rule(org, body)
                org.rules[body["uid"]] = {"id": next(self._number), **body, "provenance": _provenance(request)}
                return JSONResponse(org.rules[body["uid"]], 201)
            case "PUT", [uid]:
                self._check_provenance(org.rules[uid], request)
                self._check_rule(org, body)
                org.rules[uid] |= {**body, "provenance": _provenance(request)}
                return JSONResponse(org.rules[uid])
            case "DELETE", [uid]:
                org.rules.pop(uid, None)
                return Response(status_code=204)
        raise HTTPException(404, "Not found")

    def _rule_groups(self, org: Org, method: str, parts: list[str], body: Json, _: Request) -> Response:
        _, _, _, folder, _, name = parts
        place = {"folderUID": folder, "ruleGroup": name}
        rules = [rule for rule in org.rules.values() if place.items() <= rule.items()]
        if not rules:
            raise HTTPException(404, "rule group not found")
        if method == "PUT":
            org.interval = body["interval"]
            kept = {rule["uid"] for rule in body["rules"]}
            org.rules = {uid: rule for uid, rule in org.rules.items() if rule not in rules or uid in kept}
        return JSONResponse({"folderUid": folder, "title": name, "interval": org.interval, "rules": rules})

    def _check_rule(self, org: Org, body: Json) -> None:
        refs = [part["refId"] for part in body["data"]]
        known = {*org.sources, "__expr__", "-100"}
        if body["folderUID"] not in org.folders:
            raise HTTPException(400, "folder does not exist")
        if body["condition"] not in refs or len(refs) != len(set(refs)):
            raise HTTPException(400, "condition does not exist")
        if any(part["datasourceUid"] not in known for part in body["data"]):
            raise HTTPException(400, "data source not found")
        kept = {"KeepLast"} if int(self.version.partition(".")[0]) >= 11 else set()
        if body["noDataState"] not in {"OK", "NoData", "Alerting"} | kept:
            raise HTTPException(400, "unknown NoData state")
        if body["execErrState"] not in {"OK", "Error", "Alerting"} | kept:
            raise HTTPException(400, "unknown Error state")

    def _contact_points(self, org: Org, method: str, parts: list[str], body: Json, request: Request) -> Response:
        match method, parts[3:]:
            case "GET", []:
                return JSONResponse([_hidden(c) for c in org.contacts.values()])
            case "POST", []:
                if body["uid"] in org.contacts:
                    raise HTTPException(409, "contact point exists")
                org.contacts[body["uid"]] = {**body, "provenance": _provenance(request)}
                return JSONResponse(_hidden(org.contacts[body["uid"]]), 202)
            case "PUT", [uid]:
                self._check_provenance(org.contacts[uid], request)
                org.contacts[uid] |= {**body, "provenance": _provenance(request)}
                return JSONResponse({"message": "contactpoint updated"}, 202)
            case "DELETE", [uid]:
                gone = org.contacts[uid]["name"]
                others = [c for u, c in org.contacts.items() if u != uid and c["name"] == gone]
                if not others and gone in _receivers(org.policies):
                    raise HTTPException(409, "contact point is used by a notification policy")
                del org.contacts[uid]
                return JSONResponse({"message": "contactpoint deleted"}, 202)
        raise HTTPException(404, "Not found")

    def _policies(self, org: Org, method: str, _parts: list[str], body: Json, request: Request) -> Response:
        if method == "GET":
            return JSONResponse(org.policies)
        names = {c["name"] for c in org.contacts.values()}
        if missing := set(_receivers(body)) - names:
            raise HTTPException(400, f"receiver {missing} does not exist")
        if any(
            set(route.get("mute_time_intervals") or ()) - set(org.mute_timings) for route in body.get("routes") or ()
        ):
            raise HTTPException(400, "mute time interval does not exist")
        self._check_provenance(org.policies, request)
        org.policies = {**_sorted(body), "provenance": _provenance(request)}
        return JSONResponse({"message": "policies updated"}, 202)

    def _mute_timings(self, org: Org, method: str, parts: list[str], body: Json, _: Request) -> Response:
        if method == "GET":
            if parts[3] not in org.mute_timings:
                raise HTTPException(404, "Not found")
            return JSONResponse(org.mute_timings[parts[3]])
        if method == "POST" and body["name"] in org.mute_timings:
            raise HTTPException(400, "a time interval with this name already exists")
        org.mute_timings[body["name"]] = body
        return JSONResponse(body, 201)

    def _templates(self, org: Org, method: str, parts: list[str], body: Json, request: Request) -> Response:
        name = parts[3]
        if method == "GET":
            if name not in org.templates:
                raise HTTPException(404, "Not found")
            return JSONResponse(org.templates[name])
        org.templates[name] = {"name": name, "template": body["template"], "provenance": _provenance(request)}
        return JSONResponse(org.templates[name], 202)

    def _check_provenance(self, present: Json, request: Request) -> None:
        if present.get("provenance") and present["provenance"] != _provenance(request):
            raise HTTPException(409, f"cannot change provenance from '{present['provenance']}'")


def _provenance(request: Request) -> str:
    return "" if "X-Disable-Provenance" in request.headers else "api"


def _told(source: Json) -> Json:
    told = {key: value for key, value in source.items() if key != "secureJsonData"}
    return told | {"secureJsonFields": dict.fromkeys(source.get("secureJsonData", {}), True)}


def _hidden(contact: Json) -> Json:
    secret = _SECRET if contact["type"] in _SECRET_TYPES else set()
    settings = {k: "[REDACTED]" if k in secret else v for k, v in contact["settings"].items()}
    return contact | {"settings": settings}


def _sorted(route: Json) -> Json:
    routes = [_sorted(child) for child in route.get("routes") or ()]
    matchers = sorted(route.get("object_matchers") or ())
    return route | ({"routes": routes} if routes else {}) | ({"object_matchers": matchers} if matchers else {})


def _receivers(route: Json) -> list[str]:
    own = [route["receiver"]] if "receiver" in route else []  # else that of the policy above
    return [*own, *(name for child in route.get("routes") or () for name in _receivers(child))]


@contextmanager
def serving(grafana: FakeGrafana) -> Iterator[str]:
    """The server's address while it runs."""
    (port,) = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(grafana.app, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, "the server")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
