"""Webhooks: signed CloudEvents over HTTP.

References
----------
CloudEvents 1.0.2, JSON event format and HTTP protocol binding, structured mode (CNCF, 2022).
Standard Webhooks 1.0.0: headers ``webhook-id``, ``webhook-timestamp``, ``webhook-signature``; HMAC-SHA256 over
``id.timestamp.body``, scheme ``v1``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import msgspec

from greenmine.notify.http import Http
from greenmine.notify.outbox import Message
from greenmine.notify.subscriptions import Subscription
from greenmine.notify.targets import Webhook, secret_bytes
from greenmine.notify.wording import NoticeWords
from greenmine.times import iso

MEDIA_TYPE = "application/cloudevents+json; charset=utf-8"


def cloud_event(message: Message, wording: NoticeWords) -> dict[str, Any]:
    """The CloudEvent of a message; of a digest one whose data lists its events."""
    several = [_event(event, wording) for event in message.events]
    first = message.events[0]
    common = {"specversion": "1.0", "id": message.id, "datacontenttype": "application/json"}
    if not message.digest:
        one = several[0]
        return common | {
            "type": one["type"], "source": wording.link(f"/sites/{first.site}"), "subject": first.subject, "time": one["time"],
            "data": one["data"],
        }  # fmt: skip
    return common | {
        "type": "greenmine.digest", "source": wording.link("/"), "subject": f"digest/{message.id}",
        "time": iso(message.since), "data": {"events": several, "text": wording.text(message.events)},
    }  # fmt: skip


def signature(secret: str, identifier: str, timestamp: int, body: bytes) -> str:
    """Value of ``webhook-signature``."""
    signed = b"%b.%d.%b" % (identifier.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(secret_bytes(secret), signed, hashlib.sha256)).decode()


async def send(http: Http, subscription: Subscription, message: Message, wording: NoticeWords, now: int) -> None:
    """Deliver a message.

    Raises
    ------
    DeliveryError
        It was not taken.
    """
    target = subscription.target
    assert isinstance(target, Webhook)
    body = msgspec.json.encode(cloud_event(message, wording))
    timestamp = now // 1000
    headers = {
        "Content-Type": MEDIA_TYPE,
        "User-Agent": "greenmine",
        "webhook-id": message.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(target.secret, message.id, timestamp, body),
    }
    await http.post(target.url, headers, body)


def _event(event: Any, wording: NoticeWords) -> dict[str, Any]:
    enterprise = next((site.enterprise for site in wording.registry.sites if site.id == event.site), None)
    data = event.data | {"site": event.site, "enterprise": enterprise, "text": wording.line(event)}
    if "href" in data:
        data["href"] = wording.link(data["href"])
    return {
        "type": f"greenmine.{event.kind.replace('-', '.')}",
        "subject": event.subject,
        "time": iso(event.time),
        "data": data,
    }
