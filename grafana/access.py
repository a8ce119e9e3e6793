"""Who may look, and who is told: users and contacts, from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import msgspec

from greenmine.registry import Registry
from greenmine.tables import DataFile, DataFileError, Id, nearest

DISTRICT: Final = "district"
"""What the file calls the district's organisation; others go by the id of their enterprise."""

RuleName = Literal["exceedance", "warning", "silent", "capture", "lag", "unseen"]


class GrafanaUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An account in one organisation; who needs several is listed several times under different ids."""

    id: Id
    login: str
    organisation: str
    email: str = ""
    name: str = ""
    role: Literal["Viewer", "Editor", "Admin"] = "Viewer"
    """Admin in the district's organisation only."""
    password_file: str = ""
    """File with the first password, beside this one; empty: one is made up and shown once."""


class Contact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody, or a group chat, that alerts are sent to."""

    id: Id
    organisation: str
    kind: Literal["email", "webhook", "dingtalk", "wecom"]
    addresses: tuple[str, ...] = ()
    """Of ``email``."""
    url: str = ""
    """Of the others; it often holds a key, so it may lie in a file of its own."""
    url_file: str = ""
    """File with the address, beside this one."""
    enterprises: tuple[str, ...] = ()
    """Only alerts of these, and those of no enterprise; empty: of all."""
    rules: tuple[RuleName, ...] = ()
    """Only these alerts; empty: all."""


class Access(msgspec.Struct, frozen=True):
    """What the file says, with the contents of the files it names."""

    users: tuple[GrafanaUser, ...] = ()
    contacts: tuple[Contact, ...] = ()
    passwords: dict[str, str] = {}
    """First password of a user, by id."""
    urls: dict[str, str] = {}
    """Address of a contact, by id."""


def load_access(path: Path | None, registry: Registry) -> Access:
    """Read and check the file.

    Parameters
    ----------
    path : Path, optional
        The file; None: nobody is added or told.
    registry : Registry
        Whose enterprises it may name.

    Raises
    ------
    DataFileError
        With every fault of the file.
    """
    if path is None:
        return Access()
    faults: list[str] = []
    file = DataFile.read(path, path.name, faults)
    users: list[GrafanaUser] = []
    contacts: list[Contact] = []
    passwords: dict[str, str] = {}
    urls: dict[str, str] = {}
    enterprises = [e.id for e in registry.enterprises]

    def known(place: str, key: str, names: tuple[str, ...], allowed: list[str]) -> None:
        faults.extend(f"{place}: {key} {n!r} is unknown; {nearest(n, allowed)}" for n in names if n not in allowed)

    def secret(place: str, name: str) -> str:
        try:
            text = (path.parent / name).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{place}: {name} cannot be read: {error}")
            return ""
        if not text:
            faults.append(f"{place}: {name} is empty")
        return text

    if file:
        file.expect(["users", "contacts"], faults)
        for user in file.entries("users", GrafanaUser, faults):
            if user.value is None:
                continue
            known(user.place, "organisation", (user.value.organisation,), [DISTRICT, *enterprises])
            if user.value.role == "Admin" and user.value.organisation != DISTRICT:
                faults.append(
                    f"{user.place}: role Admin is for the district only, as an administrator can change the data source;"
                    " in an enterprise's organisation the role is Viewer or Editor"
                )
            if user.value.password_file:
                passwords[user.value.id] = secret(user.place, user.value.password_file)
            users.append(user.value)
        for contact in file.entries("contacts", Contact, faults):
            if contact.value is None:
                continue
            value = contact.value
            known(contact.place, "organisation", (value.organisation,), [DISTRICT, *enterprises])
            known(contact.place, "enterprise", value.enterprises, enterprises)
            if value.kind == "email":
                if not value.addresses or value.url or value.url_file:
                    faults.append(f"{contact.place}: an e-mail contact has addresses and no url")
            elif value.addresses or bool(value.url) == bool(value.url_file):
                faults.append(
                    f"{contact.place}: a {value.kind} contact has url or url_file, one of them, and no addresses"
                )
            if value.url or value.url_file:
                urls[value.id] = value.url or secret(contact.place, value.url_file)
                if urls[value.id] and not urls[value.id].startswith(("https://", "http://")):
                    faults.append(f"{contact.place}: its address must begin with https:// or http://")
            contacts.append(value)
    if faults:
        raise DataFileError(faults)
    return Access(tuple(users), tuple(contacts), passwords, urls)
