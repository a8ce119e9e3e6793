"""Accounts for tests, made in the data directory beside the server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from greenmine.api.accounts.accounts import Accounts
from greenmine.api.accounts.users import User, UserRole
from greenmine.settings import Settings

PASSWORD = "kiln otter brass umbrella"


@contextmanager
def accounts_in(data: Path) -> Iterator[Accounts]:
    """The accounts of a data directory."""
    accounts = Accounts(Settings(data=data))
    try:
        yield accounts
    finally:
        accounts.close()


def now() -> int:
    return time.time_ns() // 1_000_000


def ensure_user(accounts: Accounts, name: str, role: UserRole, *of: str, password: str | None = None) -> User:
    """The user of a name, of enterprises or townships, made if need be; without a password it is made at once."""
    return accounts.users.named(name) or accounts.users.add(
        name, role, now(), **{"townships" if role == "township" else "enterprises": of}, password=password
    )


def token_for(
    data: Path, name: str = "tester", role: UserRole = "administrator", *enterprises: str, **token: Any
) -> str:
    """A token of a user."""
    with accounts_in(data) as accounts:
        user = ensure_user(accounts, name, role, *enterprises)
        return accounts.tokens.add(user, "test", now(), **({"days": 1, "write": True} | token))


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@contextmanager
def browser(address: str, data: Path, name: str, role: UserRole, *enterprises: str) -> Iterator[httpx.Client]:
    """A browser in which a user is signed in, without the form."""
    with accounts_in(data) as accounts:
        user = ensure_user(accounts, name, role, *enterprises)
        cookie = accounts.sessions.begin(user, now(), address="127.0.0.1", agent="test")
    headers = {"Origin": address, "Accept": "text/html", "Accept-Language": "en"}
    with httpx.Client(base_url=address, headers=headers, cookies={"greenmine": cookie}, timeout=20) as client:
        yield client
