"""``greenmine user``: the accounts of an installation."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from greenmine import times
from greenmine.api.accounts.accounts import Accounts
from greenmine.api.accounts.secret import new_secret
from greenmine.api.accounts.users import User, UserRole
from greenmine.loading import load_registry
from greenmine.registry import RegistryError, townships
from greenmine.settings import Settings
from greenmine.times import utc_text

app = cyclopts.App(name="user", help="Accounts: who may sign in, and what they see.")


@app.command
def add(
    name: str,
    *,
    role: UserRole,
    enterprise: Annotated[list[str] | None, Parameter(negative=())] = None,
    township: Annotated[list[str] | None, Parameter(negative=())] = None,
    password_file: Path | None = None,
    data: Path | None = None,
) -> None:
    """Make an account, and print its password unless one was given.

    Parameters
    ----------
    name
        What its owner signs in as.
    role
        administrator: everything. supervisor: sees all mines and comments. township: the
        same for the mines of its townships. enterprise: its own mines. evaluator: bundles
        handed to it.
    enterprise
        For the role enterprise: id in the registry; may be given more than once.
    township
        For the role township: name as the sites of the registry have it, such as 九池乡; may be given more than once.
    password_file
        File with the password; - reads a line from standard input. Default: a random one is made and printed.
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    settings = _settings(data)
    password = _given(password_file)
    with _accounts(settings) as accounts:
        registry = load_registry(settings.registry)
        known = {found.id for found in registry.enterprises}
        if unknown := sorted(set(enterprise or ()) - known):
            raise ValueError(f"enterprise {', '.join(unknown)}: one of {', '.join(sorted(known))} would be right")
        places = townships(registry)
        if unknown := sorted(set(township or ()) - set(places)):
            raise ValueError(f"township {', '.join(unknown)}: one of {', '.join(places)} would be right")
        made = new_secret() if password is None else password
        user = accounts.users.add(
            name, role, times.now(), enterprises=enterprise or (), townships=township or (), password=made
        )
        said = {"enterprises": list(user.enterprises), "townships": list(user.townships)}
        _log(accounts, "user-added", user.name, role=user.role, **said)
    if password is None:
        sys.stdout.write(f"{made}\n")


@app.command(name="list")
def show(*, data: Path | None = None, format: Literal["text", "json"] = "text") -> None:  # noqa: A002 - the option's name
    """List the accounts.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    format
        A table to read, or JSON.
    """
    with _accounts(_settings(data)) as accounts:
        users = accounts.users.all()
    if format == "json":
        sys.stdout.write(json.dumps([_item(user) for user in users], ensure_ascii=False, indent=2) + "\n")
        return
    table = Table("name", "role", "sees", "since", "state")
    for user in users:
        item = _item(user)
        table.add_row(
            user.name, user.role, ", ".join([*user.enterprises, *user.townships]), item["created"][:10], item["state"]
        )
    Console().print(table)


@app.command
def disable(name: str, *, data: Path | None = None) -> None:
    """Shut an account: its sessions end, its tokens no longer work.

    Parameters
    ----------
    name
        Whose.
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    with _accounts(_settings(data)) as accounts:
        accounts.users.disable(_named(accounts, name), times.now())
        _log(accounts, "user-disabled", name)


@app.command
def enable(name: str, *, data: Path | None = None) -> None:
    """Open an account again.

    Parameters
    ----------
    name
        Whose.
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    with _accounts(_settings(data)) as accounts:
        accounts.users.enable(_named(accounts, name))
        _log(accounts, "user-enabled", name)


@app.command
def password(name: str, *, password_file: Path | None = None, data: Path | None = None) -> None:
    """Replace a password, and print the new one unless it was given; all sessions of the account end.

    Parameters
    ----------
    name
        Whose.
    password_file
        File with the password; - reads a line from standard input. Default: a random one is made and printed.
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    given = _given(password_file)
    made = new_secret() if given is None else given
    with _accounts(_settings(data)) as accounts:
        accounts.users.set_password(_named(accounts, name), made)
        _log(accounts, "password-reset", name)
    if given is None:
        sys.stdout.write(f"{made}\n")


@app.command
def token(
    name: str,
    purpose: str,
    *,
    days: int = 90,
    write: Annotated[bool, Parameter(negative=())] = False,
    site: Annotated[list[str] | None, Parameter(negative=())] = None,
    data: Path | None = None,
) -> None:
    """Make an API token of an account, and print it.

    Parameters
    ----------
    name
        Whose; it acts in their name.
    purpose
        What it is for.
    days
        How long it is good for, at most 366.
    write
        Let it change things; without, it only reads.
    site
        Limit it to a site; may be given more than once. Default: all that the account sees.
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    settings = _settings(data)
    with _accounts(settings) as accounts:
        known = {found.id for found in load_registry(settings.registry).sites}
        if unknown := sorted(set(site or ()) - known):
            raise ValueError(f"site {', '.join(unknown)}: one of {', '.join(sorted(known))} would be right")
        secret = accounts.tokens.add(_named(accounts, name), purpose, times.now(), days=days, sites=site, write=write)
        _log(accounts, "token-made", purpose, owner=name, days=days, sites=site or [], write=write)
    sys.stdout.write(f"{secret}\n")


def _settings(data: Path | None) -> Settings:
    return Settings() if data is None else Settings(data=data)


@contextmanager
def _accounts(settings: Settings) -> Iterator[Accounts]:
    """The accounts; whatever is wrong ends the command with a sentence."""
    try:
        accounts = Accounts(settings)
        try:
            yield accounts
        finally:
            accounts.close()
    except (RegistryError, ValueError, OSError) as error:
        raise SystemExit(f"greenmine user: {error}") from error


def _named(accounts: Accounts, name: str) -> User:
    user = accounts.users.named(name)
    if user is None:
        raise ValueError(f"name {name!r}: there is no such account; `greenmine user list` lists them")
    return user


def _log(accounts: Accounts, action: str, subject: str, **detail: Any) -> None:
    """In the audit log, who works on the machine itself is known by their name there."""
    accounts.audit.add(
        times.now(), action, user=None, name=f"{getpass.getuser()} (command line)", subject=subject, **detail
    )


def _given(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        text = sys.stdin.readline() if os.fspath(path) == "-" else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"greenmine user: --password-file {path}: {error}") from error
    return text.rstrip("\r\n")


def _item(user: User) -> dict[str, str]:
    return {
        "name": user.name,
        "role": user.role,
        "enterprises": ", ".join(user.enterprises),
        "townships": ", ".join(user.townships),
        "created": utc_text(user.created),
        "state": "in use" if user.disabled is None else "shut",
    }
