"""Who visits the demo: staff of district and township, a user for each enterprise, scripts, and an evaluator by a link."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass
from datetime import date
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from greenmine.api.accounts.accounts import Accounts
from greenmine.api.accounts.secret import new_secret
from greenmine.api.accounts.users import UserRole
from greenmine.registry import Registry, townships
from greenmine.settings import Settings

PASSWORDS: Final = "demo-accounts"
"""File in the data directory with the passwords; only its owner reads it."""
TOKEN: Final = "demo-token"  # noqa: S105 - the name of a file
"""File in the data directory with an administrator's token, likewise."""

LINK: Final = "demo-link"
"""File in the data directory with the code of the evaluator's link, likewise."""

ADMINISTRATOR: Final = "administrator"
SUPERVISOR: Final = "supervisor"
TOWNSHIP: Final = "township"
EVALUATOR: Final = "evaluator"
_OFFICES: Final[dict[str, UserRole]] = {ADMINISTRATOR: "administrator", SUPERVISOR: "supervisor", TOWNSHIP: "township"}
_DAYS: Final = 366
_RENEW_MS: Final = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Visitor:
    """An account of the demo."""

    name: str
    password: str
    about: str


def welcome(settings: Settings, registry: Registry) -> list[Visitor]:
    """Accounts of the demo; those made before keep their passwords, which are kept in a file for that.

    Parameters
    ----------
    settings : Settings
        Where accounts and files are.
    registry : Registry
        Whose enterprises get an account, named like the enterprise.
    """
    accounts = Accounts(settings)
    try:
        path = settings.data / PASSWORDS
        passwords: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        wanted = [(ADMINISTRATOR, "all mines, and the accounts")]
        wanted += [(SUPERVISOR, "all mines, as the environmental staff of the district sees them")]
        places = townships(registry)[:1]
        wanted += [(TOWNSHIP, f"mines of {place}, as its staff sees them") for place in places]
        wanted += [(enterprise.id, enterprise.name_zh) for enterprise in registry.enterprises]
        now = time.time_ns() // 1_000_000
        for name, _ in wanted:
            if accounts.users.named(name) is None:
                passwords[name] = new_secret()
                role = _OFFICES.get(name, "enterprise")
                enterprise = role == "enterprise"
                accounts.users.add(
                    name,
                    role,
                    now,
                    enterprises=[name] if enterprise else [],
                    townships=places if role == "township" else [],
                    password=passwords[name],
                )
        write_secret(path, json.dumps(passwords, indent=1))
        _token(accounts, settings.data / TOKEN, now)
        return [Visitor(name, passwords[name], about) for name, about in wanted if name in passwords]
    finally:
        accounts.close()


def hand_over(settings: Settings, site: str, day: date, stop: threading.Event) -> str | None:
    """Have a bundle of a mine and a day built, and open it to an evaluator; one that was opened before stays.

    Parameters
    ----------
    settings : Settings
        Of the demo, whose web server and builder run.
    site : str
        The mine.
    day : date
        The day.
    stop : Event
        Ends the waiting.

    Returns
    -------
    str or None
        Address of the link; None: the demo ended, or no bundle could be had, of which the builder's log tells.
    """
    path = settings.data / LINK
    accounts = Accounts(settings)
    try:
        good = path.exists() and accounts.shares.find(path.read_text().strip(), time.time_ns() // 1_000_000) is not None
    finally:
        accounts.close()
    try:
        if not good:
            wanted = {"site": site, "period": day.isoformat(), "language": "zh"}
            bundle = _asked(settings, stop, "POST", "/api/v1/bundles", wanted)
            while bundle.get("state") in {"waiting", "running"}:
                if stop.wait(1):
                    return None
                bundle = _asked(settings, stop, "GET", f"/api/v1/bundles/{bundle['id']}")
            if bundle.get("state") != "done":
                return None
            share = _asked(
                settings, stop, "POST", f"/api/v1/bundles/{bundle['id']}/shares", {"receiver": EVALUATOR, "days": 30}
            )
            write_secret(path, share["code"] + "\n")
    except (OSError, HTTPException, ValueError, KeyError):
        return None
    return f"http://127.0.0.1:{settings.port}/shared#{path.read_text().strip()}"


def _asked(
    settings: Settings, stop: threading.Event, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What the demo's own server answers to the token for scripts."""
    server = HTTPConnection("127.0.0.1", settings.port, timeout=30)
    while True:
        try:
            server.connect()
            break
        except ConnectionRefusedError:  # a short history may be in before the server listens
            if stop.wait(1):
                raise
    try:
        token = (settings.data / TOKEN).read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        server.request(method, path, None if body is None else json.dumps(body), headers)
        answer: dict[str, Any] = json.loads(server.getresponse().read())
        return answer
    finally:
        server.close()


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read, also if it was there before."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)


def _token(accounts: Accounts, path: Path, now: int) -> None:
    """Leave a token, unless there is one that is good for another month."""
    if path.exists() and accounts.tokens.find(path.read_text().strip(), now + _RENEW_MS) is not None:
        return
    user = accounts.users.named(ADMINISTRATOR)
    assert user is not None
    write_secret(path, accounts.tokens.add(user, "demo", now, days=_DAYS, write=True) + "\n")
