"""Contact points and notification policies, from the contacts of an organisation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from greenmine.grafana.access import Access, Contact
from greenmine.grafana.alerts import SYSTEM, TEMPLATE

Json = dict[str, Any]

_PREFIX: Final = "greenmine-"
NOBODY: Final[Json] = {
    "name": f"{_PREFIX}nobody",
    "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}],
}
"""Mute timing of alerts that nobody is told of: the whole day."""
_TYPES: Final = {"email": "email", "webhook": "webhook", "dingtalk": "dingding", "wecom": "wecom"}
_TITLE: Final = f'{{{{ template "{TEMPLATE}.title" . }}}}'
_MESSAGE: Final = f'{{{{ template "{TEMPLATE}.message" . }}}}'
_BRIEF: Final = f'{{{{ template "{TEMPLATE}.brief" . }}}}'
"""For what refuses long messages."""


def contact_points(access: Access, organisation: str) -> dict[str, Json]:
    """Contact points by uid.

    The uid holds a fingerprint of the settings: Grafana does not tell secret ones again, and this way a changed address is a new
    contact point, which takes the place of the old one.
    """
    made = {}
    for contact in access.contacts:
        if contact.organisation == organisation:
            settings = _settings(contact, access.urls.get(contact.id, ""))
            digest = hashlib.sha256(json.dumps([contact.kind, settings], sort_keys=True).encode()).hexdigest()[:12]
            uid = f"{_PREFIX}{contact.kind}-{digest}"
            made[uid] = {
                "uid": uid,
                "name": receiver(contact),
                "type": _TYPES[contact.kind],
                "settings": settings,
                "disableResolveMessage": False,
            }
    return made


def receiver(contact: Contact) -> str:
    """Name of a contact point, which policies refer to; the prefix marks it as ours."""
    return f"{_PREFIX}{contact.id}"


def routes(contacts: Iterable[Contact], organisation: str) -> list[Json]:
    """One policy for each contact: our alerts, grouped by enterprise; those behind it are asked too.

    Where there is no contact, one that is always mute: Grafana would mail our alerts to the address that it comes with.
    """
    own = [_route(contact) for contact in contacts if contact.organisation == organisation]
    return own or [{"object_matchers": _matchers(), "mute_time_intervals": [NOBODY["name"]]}]


def ours(route: Json) -> bool:
    """Whether a policy is one of these."""
    return str(route.get("receiver", "")).startswith(_PREFIX) or route.get("mute_time_intervals") == [NOBODY["name"]]


def _route(contact: Contact) -> Json:
    matchers = _matchers()
    if contact.enterprises:
        # The empty one: what is of no enterprise concerns all, such as that readings cannot be seen.
        matchers.append(["enterprise", "=~", "|".join(["", *contact.enterprises])])
    if contact.rules:
        matchers.append(["rule", "=~", "|".join(contact.rules)])
    return {
        "receiver": receiver(contact),
        "object_matchers": sorted(matchers),  # as Grafana gives them back
        "group_by": ["enterprise", "alertname"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "12h",
        "continue": True,
    }


def _matchers() -> list[list[str]]:
    return [[name, "=", value] for name, value in SYSTEM.items()]


def _settings(contact: Contact, url: str) -> Json:
    match contact.kind:
        case "email":
            return {
                "addresses": ";".join(contact.addresses),
                "singleEmail": False,
                "subject": _TITLE,
                "message": _MESSAGE,
            }
        case "webhook":
            return {"url": url, "httpMethod": "POST", "title": _TITLE, "message": _MESSAGE}
        case "dingtalk":
            return {"url": url, "msgType": "link", "title": _TITLE, "message": _MESSAGE}
        case "wecom":
            return {"url": url, "msgtype": "text", "title": _TITLE, "message": _BRIEF}
