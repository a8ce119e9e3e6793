"""Accounts at the broker: Mosquitto's file of passwords, and the file of rights that follows from it and the registry."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

from greenmine.collector.mqtt.queue import UPTIME, BrokerQueue
from greenmine.collector.mqtt.session import TOPIC
from greenmine.entries import Device, Profile
from greenmine.files import locked, replace
from greenmine.registry import Registry
from greenmine.routes import routes
from greenmine.topics import TopicPattern

COLLECTOR: Final = "collector"
MONITOR: Final = "monitor"
HEALTH: Final = "health"
SIMULATOR: Final = "simulator"
NOTIFIER: Final = "notifier"
INGRESS: Final = "ingress"
SERVICES: Final = {
    COLLECTOR: (f"read {TOPIC}", f"read {BrokerQueue.TOPIC}"),
    MONITOR: ("read $SYS/#",),
    HEALTH: (f"read {UPTIME}",),
    INGRESS: (f"read {UPTIME}", f"read {BrokerQueue.TOPIC}"),
    SIMULATOR: (f"write {TOPIC}", "write greenmine/v1/+/+/status"),
    NOTIFIER: ("write greenmine/alarms/v1/#",),
}
"""Rights of the accounts that belong to no device: who reads all readings, who watches the broker, who asks
whether it is alive, who lets devices in, who plays all devices, who tells of alarms. An account has one connection at a time."""

PASSWORDS: Final = "passwords"
RIGHTS: Final = "acl"

_ITERATIONS: Final = 101
"""Mosquitto's own number. The passwords are random, 192 bits, so there is nothing to guess, and a broker that has just
started must answer thousands of devices at once."""
_SALT: Final = 12
"""Mosquitto 2.0 takes no other length [bytes]."""
_BROKERS: Final = ("mosquitto", "nats-server")
"""Programs that read their accounts again at SIGHUP."""
_READABLE: Final = 0o640
"""By the owner and the broker's group only."""


class CredentialError(Exception):
    """An account that cannot be made or taken away, or a broker that cannot be told."""


def device_rights(site: str, device: Device, profile: Profile) -> tuple[str, ...]:
    """What a device may do at the broker, as Mosquitto writes it: it publishes readings and status of its own, and reads nothing.

    Parameters
    ----------
    site : str
        Id of its site.
    device : Device
        As in the registry.
    profile : Profile
        How it speaks; the topics of a mapped profile are added, with what is known of
        the device put in. Where a topic does not name the device, all devices that share it may publish there.
    """
    known = {"site": site, "device": device.id} | ({"address": device.address} if device.address else {})
    foreign = [TopicPattern(text).filter(known) for text in device.topics or profile.topics]
    own = [f"greenmine/v1/{site}/{device.id}/{kind}" for kind in ("readings", "status")]
    return tuple(f"write {topic}" for topic in (*own, *foreign))


def alarm_readers(registry: Registry) -> dict[str, tuple[str, ...]]:
    """Rights of accounts that read alarms and nothing else: ``alarms@enterprise`` those of one, ``alarms`` the district's."""
    readers: dict[str, tuple[str, ...]] = {"alarms": ("read greenmine/alarms/v1/district/#",)}
    for enterprise in registry.enterprises:
        readers[f"alarms@{enterprise.id}"] = (f"read greenmine/alarms/v1/enterprise/{enterprise.id}/#",)
    return readers


def rights(registry: Registry) -> dict[str, tuple[str, ...]]:
    """Rights of all accounts that there may be: the services', those that read alarms, and ``site/device`` for each device."""
    devices = {
        f"{site.id}/{device.id}": device_rights(site.id, device, registry.profiles[device.profile])
        for site in registry.sites
        for device in site.devices
    }
    filters = (topic for table in routes(registry) for topic in table.filters())
    collector = (*SERVICES[COLLECTOR], *(f"read {topic}" for topic in filters))
    return SERVICES | {COLLECTOR: collector} | alarm_readers(registry) | devices


def hashed(password: str, salt: bytes | None = None) -> str:
    """A password as Mosquitto 2 keeps it: PBKDF2 with SHA-512, ``$7$iterations$salt$hash``."""
    salt = secrets.token_bytes(_SALT) if salt is None else salt
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}"


class Credentials:
    """The broker's two files. The broker reads them again when it is told to; see ``reload``.

    An account whose device has left the registry stays, without any right, until it is revoked.

    Parameters
    ----------
    directory : Path
        Where the files lie; they are made when the first account is.
    registry : Registry
        Which devices there are, and how they speak.
    """

    RIGHTS: ClassVar[str] = RIGHTS
    """Name of the file of rights."""

    def __init__(self, directory: Path, registry: Registry) -> None:
        self._directory = directory
        self._rights = rights(registry)

    def accounts(self) -> list[str]:
        """Names of all accounts, in the order of the file.

        Raises
        ------
        CredentialError
            There is no such directory.
        """
        return list(self._read())

    def add(self, account: str, *, renew: bool = False, password: str | None = None) -> str:
        """Make an account, or a new password for it.

        Parameters
        ----------
        account : str
            ``site/device`` of the registry, or one of the ``SERVICES``.
        renew : bool
            Whether there may be one already; its old password is void then.
        password : str, optional
            One that is kept elsewhere; None: a new one.

        Returns
        -------
        str
            Its password. It is kept nowhere but as a hash.

        Raises
        ------
        CredentialError
            The registry has no such device, or it has an account already.
        """
        if account not in self._rights:
            raise CredentialError(f"the registry has no device '{account}'")
        password = secrets.token_urlsafe(24) if password is None else password
        with self._locked():
            known = self._read()
            if account in known and not renew:
                raise CredentialError(f"'{account}' has an account already; --renew gives it a new password")
            known[account] = self.hashed(password)
            # Rights first: an account must not be there before it is known what it may do.
            self._write_rights(known)
            self._write_passwords(known)
        return password

    def revoke(self, account: str) -> None:
        """Take an account away.

        Raises
        ------
        CredentialError
            There is no such account.
        """
        with self._locked():
            known = self._read()
            if account not in known:
                raise CredentialError(f"'{account}' has no account")
            del known[account]
            self._write_passwords(known)
            self._write_rights(known)

    def refresh(self) -> None:
        """Write the rights anew, for a registry that has changed."""
        with self._locked():
            self._write_rights(self._read())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time."""
        self._check()
        with locked(self._directory):
            yield

    def _check(self) -> None:
        if not self._directory.is_dir():
            raise CredentialError(
                f"{self._directory} is no directory; `greenmine init` makes it, GREENMINE_BROKER_FILES says where it is"
            )

    def _read(self) -> dict[str, str]:
        self._check()
        path = self._directory / PASSWORDS
        lines = path.read_text().splitlines() if path.exists() else []
        return {name: rest for name, separator, rest in (line.partition(":") for line in lines) if separator}

    def _write_passwords(self, known: dict[str, str]) -> None:
        text = "".join(f"{account}:{secret}\n" for account, secret in known.items())
        replace(self._directory / PASSWORDS, text, _READABLE)

    def _write_rights(self, known: dict[str, str]) -> None:
        replace(self._directory / self.RIGHTS, self.rights_text(known), _READABLE)

    def rights_text(self, known: dict[str, str]) -> str:
        """The file of rights of these accounts, given with their hashes."""
        blocks = [
            "# Written by `greenmine device` and `greenmine init` from the accounts and the registry; changes are lost.\n"
        ]
        for account in known:
            lines = "".join(f"topic {right}\n" for right in self._rights.get(account, ()))
            blocks.append(f"user {account}\n{lines}")
        return "\n".join(blocks)

    @staticmethod
    def hashed(password: str) -> str:
        """A password as the broker keeps it."""
        return hashed(password)


def reload(pid_file: Path) -> None:
    """Have a running broker read its accounts, rights and certificates again; who is revoked is disconnected at once.

    Parameters
    ----------
    pid_file : Path
        The file in which the broker wrote its process's number.

    Raises
    ------
    CredentialError
        The file cannot be read, its process is no broker, or the caller may not signal it.
    """
    try:
        process = int(pid_file.read_text())
        name = Path(f"/proc/{process}/comm").read_text().strip()
        if name not in _BROKERS:
            raise CredentialError(f"process {process} of {pid_file} is '{name}', not {' or '.join(_BROKERS)}")
        os.kill(process, signal.SIGHUP)
    except (OSError, ValueError) as error:
        reason = (error.strerror or "").lower() if isinstance(error, OSError) else "no number of a process in it"
        raise CredentialError(
            f"no running broker by {pid_file} ({reason}); what was changed is written, and holds from the broker's next start"
        ) from error
