"""The state of the application."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

from greenmine.api.accounts.accounts import Accounts
from greenmine.api.accounts.lockout import Lockout
from greenmine.api.http.addresses import Addresses
from greenmine.api.http.kept_per_mine import KeptPerMine
from greenmine.api.http.response_cache import Kept
from greenmine.api.http.turns import Turns
from greenmine.api.live.broadcast import Broadcast
from greenmine.api.live.crowd import Crowd
from greenmine.evidence.evaluation import Evaluation, evaluation_of
from greenmine.loading import load_registry
from greenmine.notify.store import Notices
from greenmine.record.access import RecordAccess
from greenmine.record.changes import Remembered
from greenmine.registry import Registry
from greenmine.reporting import Reporting, reporting_of
from greenmine.settings import Settings

if TYPE_CHECKING:  # its libraries take 15 MB, and most installations have no provider
    from greenmine.api.accounts.provider import Provider


@dataclass(frozen=True, slots=True)
class Context:
    """State of the application, made once at start; its registry may be renewed."""

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
    brief_reading: Turns = field(default_factory=Turns)
    """Who has a handed-in file read."""
    long_reading: Turns = field(default_factory=Turns)
    """Who has one read that takes long."""
    bodies: Kept = field(default_factory=Kept)
    """Encoded answers that cost much to make, by their entity tags."""
    mine_states: KeptPerMine[Any] = field(default_factory=KeptPerMine)
    """What the screen on a wall shows of each mine."""
    response_cache: Remembered[Hashable, tuple[str, int | None]] = field(init=False)
    """Entity tags of answers by what was asked, and until when they hold [ms UTC], as long as the record stays as it is."""

    def take_up(self) -> None:
        """Serve the registry as its files have it now.

        Raises
        ------
        RegistryError
            They are not sound.
        """
        found = load_registry(self.settings.registry)
        if found.digest != self.registry.digest:
            self.renew(found)

    def renew(self, registry: Registry) -> None:
        """Serve another registry from now on; requests under way may still end with the former."""
        self.record.renew(registry)
        for name, value in (
            ("registry", registry),
            ("reporting", reporting_of(self.settings.registry)),
            ("evaluation", evaluation_of(self.settings.registry, registry.themes)),
            ("bodies", Kept()),
            ("mine_states", KeptPerMine()),
            ("response_cache", Remembered(self.record.changes)),
        ):
            object.__setattr__(self, name, value)

    def __post_init__(self) -> None:
        object.__setattr__(self, "response_cache", Remembered(self.record.changes))
