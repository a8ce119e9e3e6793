"""Provisioning through Grafana's API: what is missing is made, what differs is set right, what is not ours is left alone.

Ours is what has a uid or name with the prefix ``greenmine-``, and the routes of the notification policies that lead to our
contact points. Whatever was provisioned from files is left to them.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlencode

from greenmine.grafana import notices
from greenmine.grafana.access import DISTRICT, Access, GrafanaUser
from greenmine.grafana.alerts import GROUP, INTERVAL, TEMPLATE, states_of
from greenmine.grafana.organisation import OWN_FOLDER, PREFIX, Organisation
from greenmine.grafana.server import GrafanaError, GrafanaServer, UnreachableError, absent, understood
from greenmine.grafana.variables import UID

Json = dict[str, Any]
Action = Literal["create", "update", "delete", "leave"]

_FIRST: Final = 1
"""Id of the organisation that Grafana has from the beginning; it is the district's."""
_UNNAMED: Final = "Main Org."
"""Its name as long as nobody gives it one."""
_HIDDEN: Final = "[REDACTED]"
_RETOLD: Final = {"id", "version", "schemaVersion"}
"""Keys of a dashboard that Grafana sets itself."""
_SEEN: Final = {"Viewer": 1, "Editor": 1}
"""Rights of roles in a folder of ours: 1 is to see it. Administrators have all of them everywhere."""
_MANY: Final = 5000
PATIENCE: Final = 90.0
"""Grafana looks for new organisations every 60 s, unless its settings say otherwise [s]."""
_POLL: Final = 1.0
"""[s]"""


@dataclass(frozen=True, slots=True)
class ProvisionChange:
    """Something that was, or would be, done; never a secret, but for a made-up password that is shown once."""

    organisation: str
    action: Action
    kind: str
    name: str
    detail: str = ""


def provision(
    server: GrafanaServer,
    wanted: Iterable[Organisation],
    access: Access,
    tell: Callable[[ProvisionChange], None],
    *,
    dry: bool = False,
    patience: float = PATIENCE,
) -> list[str]:
    """Bring Grafana to what is wanted.

    Organisations come first, then dashboards, then alerts: Grafana gives a new organisation an Alertmanager only when it looks for
    such organisations again. Where one thing fails the others go on.

    Parameters
    ----------
    server : Server
        With the account of a server administrator.
    wanted : iterable of Organisation
        From `organisations`.
    access : Access
        First passwords of new users.
    tell : callable
        Is told every change after it was made, so that none is lost if a later one fails.
    dry : bool
        Change nothing and tell what would be.
    patience : float
        Longest time to wait for the Alertmanagers of all new organisations together [s].

    Returns
    -------
    list of str
        What failed, in words. What was done stays done, and running it again goes on from there.

    Raises
    ------
    GrafanaError
        Grafana cannot be reached, or the account is not let in.
    """
    known, release = server.organisations(), server.release()
    works = [_Work(server, organisation, access, tell, release, dry=dry) for organisation in wanted]
    renamed = _renamed(server, known, [work.key for work in works])
    for work in works:
        work.attempt(work.organisation, known, renamed)
    made = [work for work in works if work.found]
    for work in made:
        work.attempt(work.dashboards)
    deadline = time.monotonic() + patience
    for work in made:
        work.attempt(work.alerting, deadline)
    return [fault for work in works for fault in work.faults]


def _renamed(server: GrafanaServer, known: Mapping[int, str], keys: Iterable[str]) -> dict[str, int]:
    """Organisations whose names tell no enterprise, by the bucket of our data source in them.

    Without it an enterprise whose organisation somebody renamed would get a second one, and its people alarms from both.
    """
    suffixes = tuple(_suffix(key) for key in keys)
    found = {}
    for number, name in known.items():
        if number != _FIRST and not name.endswith(suffixes):
            found[server.database(number, UID)] = number
    return found


def _suffix(key: str) -> str:
    return f" ({key})"


class _Work:
    """One organisation."""

    def __init__(
        self,
        server: GrafanaServer,
        wanted: Organisation,
        access: Access,
        tell: Callable[[ProvisionChange], None],
        release: int,
        *,
        dry: bool,
    ) -> None:
        self._server = server
        self._wanted = wanted
        self._access = access
        self._tell = tell
        self._release = release
        self._dry = dry
        self.key = wanted.key
        self._number: int | None = None
        """Id of the organisation; None in a dry run while it does not exist, when there is nothing to read either."""
        self.found = False
        """The organisation is there, or would be."""
        self.faults: list[str] = []

    def attempt(self, step: Callable[..., Any], *given: Any, **named: Any) -> None:
        """Do a step; what fails in it is noted, unless Grafana cannot be reached at all."""
        try:
            step(*given, **named)
        except UnreachableError:
            raise
        except GrafanaError as error:
            self.faults.append(str(error))

    def organisation(self, known: Mapping[int, str], renamed: Mapping[str, int]) -> None:
        """The organisation with its data source, folders and users."""
        self._number = self._organisation(known, renamed)
        if self._number is not None and not self._dry:
            self._server.join(self._number)
        self._api = self._server.at(self._number)
        self._alerting = self._api.alertingprovisioning
        self.found = True
        self.attempt(self._source)
        for uid, title in self._wanted.folders.items():
            self.attempt(self._folder, uid, title)
        self.attempt(self._users)

    def dashboards(self) -> None:
        """All dashboards, and the one that is shown first."""
        for uid, (folder, body) in self._wanted.dashboards.items():
            self.attempt(self._dashboard, uid, folder, body)
        path = "/search?" + urlencode({"type": "dash-db", "limit": _MANY})
        for uid in [row["uid"] for row in self._read("dashboards", self._api.client.GET, path) or ()]:
            if uid.startswith(PREFIX) and uid not in self._wanted.dashboards:
                self.attempt(self._do, "delete", "dashboard", uid, self._api.dashboard.delete_dashboard, uid)
        self.attempt(self._preferences)

    def alerting(self, deadline: float) -> None:
        """Who is told of what, and then the rules."""
        self.attempt(self._notifications, deadline)
        self.attempt(self._rules)

    def _notifications(self, deadline: float) -> None:
        if not self._dry:
            self._await_alertmanager(deadline)
        self.attempt(self._template)
        surplus = self._contacts()
        self._mute_timing()
        self._policies()
        for uid, name in surplus.items():
            self.attempt(self._do, "delete", "contact point", name, self._alerting.delete_contactpoint, uid)

    def _await_alertmanager(self, deadline: float) -> None:
        """Wait until Grafana has made the Alertmanager's configuration; until then it answers 404, or 500."""
        while True:
            try:
                with understood(f"{self._wanted.key}: Alertmanager"):
                    self._alerting.get_notification_policy_tree()
            except UnreachableError:
                raise
            except GrafanaError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL)
            else:
                return

    def _do(
        self,
        action: Action,
        kind: str,
        name: str,
        method: Callable[..., Any],
        *given: Any,
        detail: str = "",
        **named: Any,
    ) -> Any:
        """Make a change, unless this is a dry run, and tell of it."""
        made = None
        if not self._dry:
            with understood(f"{self._wanted.key}: {kind} {name}"):
                made = method(*given, **named)
        self._tell(ProvisionChange(self._wanted.key, action, kind, name, detail))
        return made

    def _read(self, what: str, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        if self._number is None:
            return None
        with understood(f"{self._wanted.key}: {what}"):
            return absent(method, *given, **named)

    def _leave(self, kind: str, name: str) -> None:
        self._tell(ProvisionChange(self._wanted.key, "leave", kind, name, "comes from files"))

    def _organisation(self, known: Mapping[int, str], renamed: Mapping[str, int]) -> int | None:
        title = self._wanted.title
        if self._wanted.key == DISTRICT:
            if known.get(_FIRST) == _UNNAMED:
                self._do("update", "organisation", title, self._server.rename, _FIRST, title, detail=_UNNAMED)
            return _FIRST
        named = (n for n, name in known.items() if name.endswith(_suffix(self.key)))
        number = next(named, renamed.get(self._wanted.source.database))
        if number is None:
            made: int | None = self._do("create", "organisation", title, self._server.create, title)
            return made
        if known[number] != title:
            self._do("update", "organisation", title, self._server.rename, number, title, detail=known[number])
        return number

    def _preferences(self) -> None:
        """Fill in what nobody has chosen; a choice that somebody made stays."""
        path = "/org/preferences"
        present = self._read("preferences", self._api.client.GET, path) or {}
        missing = {name: value for name, value in self._wanted.preferences.items() if not present.get(name)}
        if missing:
            detail = ", ".join(missing)
            self._do("update", "preferences", detail, self._api.client.PATCH, path, json=missing)

    def _source(self) -> None:
        api, body = self._api.datasource, self._wanted.source.body()
        present = self._read("data source", api.get_datasource_by_uid, UID)
        if present is None:
            self._do("create", "data source", UID, api.create_datasource, body)
            return
        different = differences({key: value for key, value in body.items() if key != "secureJsonData"}, present)
        if different and present.get("readOnly"):
            self._leave("data source", UID)
        elif different:
            kept = {key: present[key] for key in ("isDefault", "withCredentials", "user") if key in present}
            detail = ", ".join(different)
            self._do("update", "data source", UID, api.update_datasource_by_uid, UID, kept | body, detail=detail)

    def _folder(self, uid: str, title: str) -> None:
        api = self._api.folder
        present = self._read("folder", api.get_folder, uid)
        if present is None:
            self._do("create", "folder", title, api.create_folder, title, uid)
        elif present["title"] != title:
            was, version = present["title"], present["version"]
            self._do("update", "folder", title, api.update_folder, uid, title, version, detail=was)
        if uid != OWN_FOLDER:
            self._view_only(uid, title)

    def _view_only(self, uid: str, title: str) -> None:
        """Let editors see a folder of ours but not change it; what somebody granted to a person or a team stays."""
        api = self._api.folder
        granted = self._read("rights of a folder", api.get_folder_permissions, uid) or []
        roles = {row["role"]: row["permission"] for row in granted if row.get("role")}
        if {role: right for role, right in roles.items() if role != "Admin"} != _SEEN:
            others = [
                {key: row[key] for key in ("userId", "teamId", "permission") if row.get(key)}
                for row in granted
                if not (row.get("role") or row.get("inherited"))
            ]
            items = [*others, *({"role": role, "permission": right} for role, right in _SEEN.items())]
            self._do("update", "rights of folder", title, api.update_folder_permissions, uid, {"items": items})

    def _dashboard(self, uid: str, folder: str, body: Json) -> None:
        api = self._api.dashboard
        present = self._read("dashboard", api.get_dashboard, uid)
        asked = {"folderUid": folder, "overwrite": False, "message": "greenmine grafana provision"}
        if present is None:
            self._do("create", "dashboard", uid, api.update_dashboard, {**asked, "dashboard": {**body, "id": None}})
            return
        found = present["dashboard"]
        different = differences({k: v for k, v in body.items() if k not in _RETOLD}, found)
        if present["meta"].get("folderUid", folder) != folder:
            different.append("folder")
        if different and present["meta"].get("provisioned"):
            self._leave("dashboard", uid)
        elif different:
            new = {**asked, "dashboard": {**body, "id": found["id"], "version": found["version"]}}
            self._do("update", "dashboard", uid, api.update_dashboard, new, detail=", ".join(different))

    def _template(self) -> None:
        text = self._wanted.template
        present = self._read("message template", self._alerting.get_template, TEMPLATE)
        if present and present["template"].strip() == text.strip():
            return
        if present and present.get("provenance") == "file":
            self._leave("message template", TEMPLATE)
            return
        body = {"name": TEMPLATE, "template": text}
        if present and "version" in present:
            body["version"] = present["version"]
        action: Action = "update" if present else "create"
        self._do(action, "message template", TEMPLATE, self._alerting.create_or_update_template, TEMPLATE, body)

    def _mute_timing(self) -> None:
        name, api = notices.NOBODY["name"], self._alerting
        present = self._read("mute timing", api.get_mute_timing, name)
        if present is None:
            self._do("create", "mute timing", name, api.create_mute_timing, notices.NOBODY)
        elif different := differences(notices.NOBODY, present):
            detail = ", ".join(different)
            self._do("update", "mute timing", name, api.update_mute_timing, name, notices.NOBODY, detail=detail)

    def _contacts(self) -> dict[str, str]:
        """Contact points, and names by uid of those that are no longer wanted."""
        api = self._alerting
        listed = self._read("contact points", api.get_contactpoints)
        return self._each(
            "contact point", self._wanted.contacts, listed, api.create_contactpoint, api.update_contactpoint
        )

    def _rules(self) -> None:
        api = self._alerting
        listed = self._read("alert rules", api.get_alertrules_all)
        wanted = {uid: states_of(self._release, rule) for uid, rule in self._wanted.rules.items()}
        surplus = self._each("alert rule", wanted, listed, api.create_alertrule, api.update_alertrule)
        for uid in surplus:
            self.attempt(self._do, "delete", "alert rule", uid, api.delete_alertrule, uid)
        for folder in {rule["folderUID"] for rule in wanted.values()}:
            self.attempt(self._interval, folder)

    def _interval(self, folder: str) -> None:
        """How often our rules are evaluated, which belongs to their group and not to them."""
        api = self._alerting
        group = self._read("group of alert rules", api.get_rule_group, folder, GROUP)
        filed = any(rule.get("provenance") == "file" for rule in (group or {}).get("rules") or ())
        if group and group["interval"] != INTERVAL and not filed:
            detail = f"{group['interval']} s becomes {INTERVAL} s"
            new = {**group, "interval": INTERVAL}
            self._do("update", "group of alert rules", GROUP, api.update_rule_group, folder, GROUP, new, detail=detail)

    def _each(
        self,
        kind: str,
        wanted: Mapping[str, Json],
        listed: Iterable[Json] | None,
        create: Callable[..., Any],
        update: Callable[..., Any],
    ) -> dict[str, str]:
        """Make or set right each of a kind; names by uid of ours that are not wanted and do not come from files."""
        ours = {row["uid"]: row for row in listed or () if row["uid"].startswith(PREFIX)}
        for uid, body in wanted.items():
            present, name = ours.pop(uid, None), body.get("name", uid)
            if present is None:
                self.attempt(self._do, "create", kind, name, create, body)
            elif different := differences(body, present):
                if present.get("provenance") == "file":
                    self._leave(kind, name)
                else:
                    self.attempt(self._do, "update", kind, name, update, uid, body, detail=", ".join(different))
        return {uid: row.get("name", uid) for uid, row in ours.items() if row.get("provenance") != "file"}

    def _policies(self) -> None:
        """Our routes before those of others, which stay as they are and stay editable."""
        tree = self._read("notification policies", self._alerting.get_notification_policy_tree) or {}
        routes = tree.get("routes") or []
        ours = [route for route in routes if notices.ours(route)]
        if not differences(self._wanted.routes, routes[: len(ours)]):
            return
        if tree.get("provenance") == "file":
            self._leave("notification policies", PREFIX)
            return
        others = [route for route in routes if route not in ours]
        new = {k: v for k, v in tree.items() if k != "provenance"} | {"routes": [*self._wanted.routes, *others]}
        name = f"{len(self._wanted.routes)} routes"
        put, editable = self._alerting.set_notification_policy_tree, tree.get("provenance") != "api"
        self._do("update", "notification policies", name, put, new, disable_provenance=editable)

    def _users(self) -> None:
        if not self._wanted.users:
            return
        members = {row["login"]: row for row in self._read("users", self._api.client.GET, "/org/users") or ()}
        for user in self._wanted.users:
            self.attempt(self._user, user, members.get(user.login))

    def _user(self, user: GrafanaUser, member: Json | None) -> None:
        if member is None:
            self._add(user)
        elif member["role"] != user.role:
            detail = f"{member['role']} becomes {user.role}"
            self._do("update", "user", user.login, self._set_role, member["userId"], user.role, detail=detail)

    def _add(self, user: GrafanaUser) -> None:
        if self._server.account(user.login) is not None:
            joining = {"loginOrEmail": user.login, "role": user.role}
            self._do("create", "user", user.login, self._api.client.POST, "/org/users", json=joining, detail=user.role)
            return
        given = self._access.passwords.get(user.id, "")
        password = given or secrets.token_urlsafe(18)
        account: Json = {"login": user.login, "email": user.email, "name": user.name, "password": password}
        account["OrgId"] = self._number
        shown = "" if given or self._dry else f", first password, shown only now: {password}"
        detail = f"{user.role}{shown}"
        number = self._do("create", "user", user.login, self._server.add_account, account, detail=detail)
        if number is not None:
            with understood(f"{self._wanted.key}: user {user.login}"):
                self._set_role(number, user.role)

    def _set_role(self, number: int, role: str) -> None:
        self._api.client.PATCH(f"/org/users/{number}", json={"role": role})


def differences(wanted: Any, present: Any, place: str = "") -> list[str]:
    """Where something present does not hold what is wanted; what it holds beyond, and what is hidden, does not count."""
    if present == _HIDDEN:
        return []
    if isinstance(wanted, dict) and isinstance(present, dict):
        return [
            text
            for key, value in wanted.items()
            for text in differences(value, present.get(key), f"{place}.{key}" if place else str(key))
        ]
    if isinstance(wanted, list) and isinstance(present, list) and len(wanted) == len(present):
        return [
            text
            for number, (a, b) in enumerate(zip(wanted, present, strict=True))
            for text in differences(a, b, f"{place}[{number}]")
        ]
    empty: tuple[Any, ...] = ({}, [], "", None, False)
    return [] if wanted == present or (wanted in empty and present in empty) else [place or "."]
