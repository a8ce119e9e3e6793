"""How many live streams one user or one address may have."""

from __future__ import annotations

from collections.abc import Hashable
from weakref import WeakSet

from greenmine.api.http.problems import Problem


class Ticket:
    """The right to one stream: it lasts as long as the stream holds it."""

    __slots__ = ("__weakref__",)


class Crowd:
    """Counts live streams; what is counted is held by the stream itself, so that none is counted after its end."""

    def __init__(self) -> None:
        self._tickets: dict[Hashable, WeakSet[Ticket]] = {}

    def enter(self, bounds: dict[Hashable, int]) -> Ticket:
        """Let one more stream in.

        Parameters
        ----------
        bounds : dict
            Most streams of each whose stream it is.

        Raises
        ------
        Problem
            429, if one of them has as many.
        """
        for key in [key for key, held in self._tickets.items() if not held]:
            del self._tickets[key]
        for key, most in bounds.items():
            if len(self._tickets.get(key, ())) >= most:
                raise Problem(
                    429, f"There are {most} live streams from here already; close one.", headers={"Retry-After": "30"}
                )
        ticket = Ticket()
        for key in bounds:
            self._tickets.setdefault(key, WeakSet()).add(ticket)
        return ticket
