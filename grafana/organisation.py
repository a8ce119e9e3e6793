"""What an organisation of Grafana is to hold: the one source of both ways to provision it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from greenmine.grafana import alerts, notices
from greenmine.grafana.access import DISTRICT, Access, GrafanaUser
from greenmine.grafana.dashboards import dashboards
from greenmine.grafana.edition import Edition
from greenmine.grafana.influx.influx_schema import DISTRICT as ALL
from greenmine.grafana.influx.influx_schema import bucket_of
from greenmine.grafana.variables import UID
from greenmine.registry import Enterprise, Registry
from greenmine.wording.messages import LANGUAGES, Language

Json = dict[str, Any]

PREFIX: Final = "greenmine-"
"""Uids and names of what is ours begin so; nothing else is touched."""
OWN_FOLDER: Final = f"{PREFIX}own"
"""Uid of the folder in which an organisation's own people make dashboards; ours are to be seen only."""
MESSAGES: Final[Language] = "zh"
"""Language of alerts."""
_LANGUAGE: Final = "zh-Hans"
"""Grafana's name of that language."""


@dataclass(frozen=True)
class Source:
    """InfluxDB as an organisation sees it."""

    url: str
    database: str
    token: str
    """Its read token, with InfluxDB 1.8 ``user:password``; empty: none is needed."""

    def body(self) -> Json:
        """For ``/api/datasources``. The token is never told again by Grafana; its fingerprint is."""
        digest = hashlib.sha256(self.token.encode()).hexdigest()[:12] if self.token else ""
        body: Json = {
            "uid": UID,
            "name": UID,
            "type": "influxdb",
            "access": "proxy",
            "url": self.url,
            "database": self.database,
            "basicAuth": False,
            "jsonData": {"dbName": self.database, "httpMode": "POST", "timeInterval": "1m", "greenmineToken": digest},
        }
        if self.token:
            body["jsonData"]["httpHeaderName1"] = "Authorization"
            body["secureJsonData"] = {"httpHeaderValue1": f"Token {self.token}"}
        return body


@dataclass(frozen=True)
class Organisation:
    """Everything of one organisation, in the forms of Grafana's API."""

    key: str
    """``district``, or the id of the enterprise."""
    title: str
    """Its name; that of an enterprise's ends in its id, by which it is found again."""
    source: Source
    folders: dict[str, str]
    """Titles by uid, `OWN_FOLDER` among them."""
    dashboards: dict[str, tuple[str, Json]]
    """Folder and dashboard by uid."""
    template: str
    contacts: dict[str, Json]
    routes: list[Json]
    rules: dict[str, Json]
    users: tuple[GrafanaUser, ...]
    preferences: Json
    """Language, time zone, first day of the week and first dashboard, where nobody has chosen any."""


def organisations(
    registry: Registry, day: date, url: str, tokens: Mapping[str, str], access: Access, pages: str = ""
) -> list[Organisation]:
    """The district's organisation and one for each enterprise.

    Parameters
    ----------
    registry : Registry
        Mines and limits.
    day : date
        See `Edition`.
    url : str
        InfluxDB as Grafana reaches it.
    tokens : mapping
        Read tokens by bucket; a bucket without one is asked without.
    access : Access
        Users and contacts.
    pages : str
        Address of the web pages, which alarms link to; empty: they do not.
    """
    district = Source(url, ALL, tokens.get(ALL, ""))
    title = Edition(MESSAGES, registry, day).t("district")
    made = [_organisation(DISTRICT, title, registry, None, day, district, access, pages)]
    for enterprise in registry.enterprises:
        bucket = bucket_of(enterprise.id)
        title = f"{enterprise.name_zh} ({enterprise.id})"
        source = Source(url, bucket, tokens.get(bucket, ""))
        made.append(_organisation(enterprise.id, title, registry, enterprise, day, source, access, pages))
    return made


def _organisation(
    key: str,
    title: str,
    registry: Registry,
    enterprise: Enterprise | None,
    day: date,
    source: Source,
    access: Access,
    pages: str,
) -> Organisation:
    boards: dict[str, tuple[str, Json]] = {}
    rules: dict[str, Json] = {}
    template = ""
    folders = {}
    preferences: Json = {}
    for language in LANGUAGES:
        edition = Edition(language, registry, day, pages)
        if enterprise is not None:
            edition = edition.of(enterprise.id)
        folder = f"{PREFIX}{language}"
        folders[folder] = edition.t("folder")
        built = dashboards(edition, district=enterprise is None)
        boards |= {board["uid"]: (folder, board) for board in built.values()}
        if language == MESSAGES:
            panels = {
                "exceedances": _panel(built["exceedances"], edition.t("exceedances.list.title")),
                "operation": _panel(built["operation"], edition.t("operation.health.title")),
            }
            folders[OWN_FOLDER] = edition.t("own-folder")
            rules = alerts.rules(edition, folder, panels, pages)
            template = alerts.template(edition)
            first = "mine" if len(edition.registry.sites) == 1 else "overview"
            preferences = {
                "language": _LANGUAGE,
                "timezone": edition.zone,
                "weekStart": "monday",
                "homeDashboardUID": built[first]["uid"],
            }
    return Organisation(
        key=key,
        title=title,
        source=source,
        folders=folders,
        dashboards=boards,
        template=template,
        contacts=notices.contact_points(access, key),
        routes=notices.routes(access.contacts, key),
        rules=rules,
        users=tuple(user for user in access.users if user.organisation == key),
        preferences=preferences,
    )


def _panel(board: Json, title: str) -> int:
    return int(next(panel["id"] for panel in board["panels"] if panel["title"] == title))
