"""People who sign in at an OpenID Connect provider, as it tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from greenmine.api.accounts.users import Identity, UserRole

LASTS: Final = 600
"""Longest time to sign in at the provider [s]."""


class SignInError(Exception):
    """A sign-in at the provider that is not valid; ``key`` names the text that says so."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has signed in at the provider."""

    identity: Identity
    name: str
    role: UserRole
    enterprises: tuple[str, ...] = ()
    townships: tuple[str, ...] = ()
