"""The state of the application."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from greenmine.api.accounts.accounts import Accounts
from greenmine.api.accounts.lockout import Lockout
from greenmine.api.http.addresses import Addresses
from greenmine.api.http.response_cache import Kept
from greenmine.api.live.broadcast import Broadcast
from greenmine.api.live.crowd import Crowd
from greenmine.evaluation import Evaluation
from greenmine.notify.store import Notices
from greenmine.record.access import RecordAccess
from greenmine.record.changes import Remembered
from greenmine.registry import Registry
from greenmine.reporting import Reporting
from greenmine.settings import Settings

if TYPE_CHECKING:  # its libraries take 15 MB, and most installations have no provider
    from greenmine.api.accounts.provider import Provider


@dataclass(frozen=True, slots=True)
class Context:
    """State of the application, made once at start."""

    settings: Settings
    registry: Registry
    record: RecordAccess
    closing: Event
    """Set when the server shuts down: live streams end."""
    accounts: Accounts
    addresses: Addresses
    lockout: Lockout
    reporting: Reporting
    evaluation: Evaluation
    notices: Notices
    """Subscriptions, and what is still to be told."""
    provider: Provider | None
    """Where people may sign in as well."""
    broadcast: Broadcast
    """What all live streams listen to."""
    crowd: Crowd = field(default_factory=Crowd)
    """Who has how many live streams."""
    bodies: Kept = field(default_factory=Kept)
    """Encoded answers that cost much to make, by their entity tags."""
    response_cache: Remembered[Hashable, tuple[str, int | None]] = field(init=False)
    """Entity tags of answers by what was asked, and until when they hold [ms UTC], as long as the record stays as it is."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "response_cache", Remembered(self.record.changes))
