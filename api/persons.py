"""People who sign in at an OpenID Connect provider, as it tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from greenmine.accounts.users import Identity, UserRole
from greenmine.registry import Registry
from greenmine.settings import Settings

if TYPE_CHECKING:
    from api.provider import Provider

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
    enterprises: tuple[str, ...]


def provider_of(settings: Settings, registry: Registry) -> Provider | None:
    """The provider by the settings, None if there is none.

    Raises
    ------
    ValueError
        The settings make no sense.
    """
    if settings.oidc_issuer is None:
        return None
    from api.provider import Provider  # noqa: PLC0415 - its libraries take 15 MB, and most installations have no provider

    return Provider(settings, registry)
