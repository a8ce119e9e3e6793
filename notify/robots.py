r"""Robots of groups in DingTalk and WeCom: they take a short text, at most twenty times a minute.

References
----------
DingTalk, open platform: custom robot, signature ``base64(HMAC-SHA256(secret, "timestamp\nsecret"))`` with the timestamp in
milliseconds, at most an hour from the server's clock; beyond 20 messages a minute the robot is shut for ten minutes.
WeCom, developer centre: group robot, ``text.content`` at most 2048 bytes of UTF-8, 20 messages a minute, error 45009 beyond.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from greenmine.notify.failure import DeliveryError
from greenmine.notify.http import Http
from greenmine.notify.targets import DingTalk, WeCom

PACE: Final = 3.1
"""Least time between two messages to a robot: fewer than twenty a minute; what comes meanwhile is told in the next [s]."""
LONGEST: Final = 2_048
"""Longest text [bytes of UTF-8]; of DingTalk, whose bound lies higher, the same."""
_TOO_MANY: Final = frozenset({45009, 130101, 410100})
"""Error codes by which the platforms say that there were too many messages."""
_SHUT: Final = 600.0
"""A robot that was told too much is left alone for so long [s]."""
_HEADERS: Final = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "greenmine"}


def signed_query(target: DingTalk, now: int) -> str:
    """Query of a request to a DingTalk robot at an instant [ms UTC]."""
    digest = hmac.digest(target.secret.encode(), f"{now}\n{target.secret}".encode(), hashlib.sha256)
    return urlencode({"access_token": target.token, "timestamp": now, "sign": base64.b64encode(digest).decode()})


async def send(http: Http, address: str, target: DingTalk | WeCom, text: str, now: int) -> None:
    """Say a text in the robot's group.

    Parameters
    ----------
    http : Http
        The client.
    address : str
        Of the platform, without a query.
    target : DingTalk or WeCom
        The robot.
    text : str
        At most `LONGEST` bytes.
    now : int
        The clock [ms UTC]; the signature is made of it.

    Raises
    ------
    DeliveryError
        It was not taken.
    """
    query = signed_query(target, now) if isinstance(target, DingTalk) else urlencode({"key": target.key})
    body = msgspec.json.encode({"msgtype": "text", "text": {"content": text}})
    answer = await http.post(f"{address}?{query}", _HEADERS, body)
    try:
        said: dict[str, Any] = msgspec.json.decode(answer, type=dict)
        code = int(said.get("errcode", -1))
    except (msgspec.DecodeError, msgspec.ValidationError, TypeError, ValueError):
        raise DeliveryError("the answer is not that of a robot") from None
    if code in _TOO_MANY:
        raise DeliveryError(f"error {code}: too many messages", rest=_SHUT)
    if code != 0:
        raise DeliveryError(f"error {code}: {str(said.get('errmsg', ''))[:120]}", refused=True)
