"""The provider of an installation, if it has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenmine.registry import Registry
from greenmine.settings import Settings

if TYPE_CHECKING:  # its libraries take 15 MB, and most installations have no provider
    from greenmine.api.accounts.provider import Provider


def provider_of(settings: Settings, registry: Registry) -> Provider | None:
    """The provider by the settings, None if there is none.

    Raises
    ------
    ValueError
        The settings make no sense.
    """
    if settings.oidc_issuer is None:
        return None
    from greenmine.api.accounts.provider import Provider  # noqa: PLC0415 - its libraries take 15 MB, and most installations have no provider

    return Provider(settings, registry)
