"""Contact points and notification policies, from the contacts of an organisation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from greenmine.grafana.access import Access, Contact
from greenmine.grafana.alerts import SYSTEM, TEMPLATE

Json = dict[str, Any]

_TYPES: Final = {"email": "email", "webhook": "webhook", "dingtalk": "dingding", "wecom": "wecom"}
_TITLE: Final = f'{{{{ template "{TEMPLATE}.title" . }}}}'
_MESSAGE: Final = f'{{{{ template "{TEMPLATE}.message" . }}}}'


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
            uid = f"greenmine-{contact.kind}-{digest}"
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
    return f"greenmine-{contact.id}"


def routes(contacts: Iterable[Contact], organisation: str) -> list[Json]:
    """One policy for each contact: our alerts, grouped by enterprise; those behind it are asked too."""
    return [_route(contact) for contact in contacts if contact.organisation == organisation]


def _route(contact: Contact) -> Json:
    matchers = [[name, "=", value] for name, value in SYSTEM.items()]
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
            return {"url": url, "msgtype": "text", "title": _TITLE, "message": _MESSAGE}
