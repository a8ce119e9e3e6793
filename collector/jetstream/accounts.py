"""Accounts at nats-server: who may come in, and on which subjects each may publish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import bcrypt

from greenmine.collector.jetstream.connection import SOURCE, STREAM, inbox
from greenmine.collector.jetstream.subjects import LOG, subject_of
from greenmine.collector.mqtt.credentials import COLLECTOR, MONITOR, NOTIFIER, SIMULATOR, CredentialError, Credentials
from greenmine.registry import Registry
from greenmine.topics import FRAMES

OPERATOR: Final = "operator"
"""Account that makes and changes the streams."""
ACCOUNTS: Final = "accounts.conf"
GATEWAY: Final = "gateway"
"""Account that puts the frames of data loggers into the log."""
NATS_SERVICES: Final = (COLLECTOR, MONITOR, NOTIFIER, SIMULATOR, OPERATOR, GATEWAY)
"""Accounts that belong to no device."""

_ROUNDS: Final = 4
"""The fewest that bcrypt has: the passwords are random, 192 bits, and thousands of devices may come at once."""
_NOTHING: Final = {"deny": ">"}
_WORKERS: Final = ["STANDARD"]
_DEVICES: Final = ["MQTT"]
"""Ways to connect, in the words of nats-server: by its own protocol, or by MQTT."""
_OF_MQTT: Final = "$MQTT.sub.>"
"""Where nats-server puts what a subscriber of MQTT with QoS 1 gets."""


class NatsCredentials(Credentials):
    """Accounts at nats-server: a file of names and hashes, and what of its configuration follows from it and the registry."""

    RIGHTS = ACCOUNTS

    def __init__(self, directory: Path, registry: Registry) -> None:
        super().__init__(directory, registry)
        self._rights = {name: of for name, of in self._rights.items() if name in NATS_SERVICES or not _is_service(name)}
        self._rights |= {OPERATOR: (), GATEWAY: ()}

    @staticmethod
    def hashed(password: str) -> str:
        """A password as nats-server takes it: bcrypt."""
        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(_ROUNDS)).decode()

    def rights_text(self, known: dict[str, str]) -> str:
        """The accounts with their users, as nats-server reads them."""
        users = [self._user(name, secret) for name, secret in known.items() if name != MONITOR]
        monitors = [
            {"user": name, "password": known[name], "allowed_connection_types": _WORKERS}
            for name in known
            if name == MONITOR
        ]
        return (
            "# Written by `greenmine device` and `greenmine init` from the accounts and the registry; changes are lost.\n"
            f"accounts {{\n  GREENMINE {{ jetstream: enabled, users: [\n{_lines(users)}  ] }}\n"
            f"  SYS {{ users: [\n{_lines(monitors)}  ] }}\n}}\nsystem_account: SYS\n"
        )

    def _user(self, name: str, secret: str) -> dict[str, Any]:
        kinds = _WORKERS if name in {COLLECTOR, OPERATOR, GATEWAY} else _DEVICES
        permissions = self._permissions(name)
        return {"user": name, "password": secret, "allowed_connection_types": kinds, "permissions": permissions}

    def _permissions(self, name: str) -> dict[str, Any]:
        if name == COLLECTOR:
            calls = (f"STREAM.INFO.{SOURCE}", f"STREAM.INFO.{STREAM}", f"STREAM.MSG.GET.{STREAM}")
            reading = (f"CONSUMER.CREATE.{STREAM}.>", f"CONSUMER.MSG.NEXT.{STREAM}.>")
            return {"publish": [f"$JS.API.{call}" for call in (*calls, *reading)], "subscribe": f"{inbox(name)}.>"}
        if name == GATEWAY:
            frames = LOG + subject_of(FRAMES.format(site="+", device="+"))
            return {"publish": frames, "subscribe": f"{inbox(name)}.>"}
        if name == OPERATOR:
            return {"publish": "$JS.API.>", "subscribe": f"{inbox(name)}.>"}
        rights = [right.partition(" ") for right in self._rights.get(name, ())]
        try:
            allowed = {
                verb: [subject_of(topic) for what, _, topic in rights if what == verb] for verb in ("write", "read")
            }
        except ValueError as error:
            raise CredentialError(f"'{name}' cannot have an account: {error}") from error
        # A filter of MQTT that ends with # takes in the level above, for which nats-server subscribes by itself.
        above = [subject.removesuffix(".>") for subject in allowed["read"] if subject.endswith(".>")]
        reads = [*allowed["read"], *above, _OF_MQTT] if allowed["read"] else _NOTHING
        return {"publish": allowed["write"] or _NOTHING, "subscribe": reads}


def _is_service(name: str) -> bool:
    return "/" not in name and not name.startswith("alarms")


def _lines(users: list[dict[str, Any]]) -> str:
    return "".join(f"    {json.dumps(user, ensure_ascii=False)}\n" for user in users)
