"""Targets: the ways by which a receiver is told, and what each needs."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from typing import Annotated, Final, get_args
from urllib.parse import urlsplit

import msgspec

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - a prefix
"""Of the secrets of webhooks (Standard Webhooks)."""
_SECRET_BYTES: Final = (24, 64)
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{8,128}")

_Key = Annotated[str, msgspec.Meta(max_length=128)]


class Webhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="webhook", tag_field="kind"):
    """A program that takes signed CloudEvents over HTTP. Without a ``secret`` one is made."""

    url: Annotated[str, msgspec.Meta(max_length=2_000)]
    secret: Annotated[str, msgspec.Meta(max_length=120)] = ""

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"url: {error}") from error
        plain = self.url.isascii() and self.url.isprintable() and " " not in self.url and "\\" not in self.url
        if parts.scheme not in {"http", "https"} or not parts.hostname or not plain or port == 0:
            raise ValueError("url: an address such as https://example.org/hook would be right")
        if "@" in parts.netloc or parts.fragment:
            raise ValueError("url: no user, password or fragment may be in it")
        if self.secret:
            _check_secret(self.secret)


class Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="mail", tag_field="kind"):
    """E-mail, by the installation's mail server."""

    to: Annotated[list[Annotated[str, msgspec.Meta(max_length=254)]], msgspec.Meta(min_length=1, max_length=20)]

    def __post_init__(self) -> None:
        for address in self.to:
            if not _ADDRESS.fullmatch(address):
                raise ValueError(f"to: {address!r} is no address such as li@example.org")


class DingTalk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="dingtalk", tag_field="kind"):
    """A robot of a DingTalk group: the access token of its address, and the secret that it signs with (SEC...)."""

    token: _Key
    secret: _Key

    def __post_init__(self) -> None:
        _check_key("token", self.token)
        _check_key("secret", self.secret)


class WeCom(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="wecom", tag_field="kind"):
    """A robot of a WeCom group: the key of its address."""

    key: _Key

    def __post_init__(self) -> None:
        _check_key("key", self.key)


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="mqtt", tag_field="kind"):
    """The installation's broker, where the newest state of each limit and station is kept on a topic of its own."""


Target = Webhook | Mail | DingTalk | WeCom | Mqtt
CLASSES: Final[dict[str, type[msgspec.Struct]]] = {str(one.__struct_config__.tag): one for one in get_args(Target)}
"""Class of each kind of target."""
KINDS: Final = tuple(CLASSES)
GROUPED: Final = (Mail, DingTalk, WeCom)
"""What people read: several notices at once make one message."""


def with_secret(target: Target) -> Target:
    """A webhook that had no secret with a new one; others as they are."""
    if isinstance(target, Webhook) and not target.secret:
        return Webhook(target.url, SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode())
    return target


def kind_of(target: Target) -> str:
    """Name of a target's kind."""
    return str(target.__struct_config__.tag)


def shown(target: Target) -> str:
    """What may be shown of a target: of a webhook its origin, as paths carry secrets; nothing of robots."""
    if isinstance(target, Webhook):
        parts = urlsplit(target.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}/…"
    return ", ".join(target.to) if isinstance(target, Mail) else ""


def secret_bytes(secret: str) -> bytes:
    """Key of a webhook's secret."""
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))


def _check_key(name: str, key: str) -> None:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{name}: 8 to 128 letters, digits, hyphens or underscores would be right")


def _check_secret(secret: str) -> None:
    least, most = _SECRET_BYTES
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not least <= len(key) <= most:
        raise ValueError(f"secret: {SECRET_PREFIX} and {least} to {most} bytes in base64 would be right")
