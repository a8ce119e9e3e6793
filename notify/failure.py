"""How an attempt to deliver fails."""

from __future__ import annotations


class DeliveryError(Exception):
    """An attempt that failed; the text says why, in words that may be shown and without secrets.

    Parameters
    ----------
    text : str
        Why.
    refused : bool
        Whether the receiver works and did not take this message: others are tried all the same.
    gone : bool
        Whether the receiver asks never to be told again.
    rest : float
        Least time before the next attempt, by the receiver's own word [s].
    """

    def __init__(self, text: str, *, refused: bool = False, gone: bool = False, rest: float = 0.0) -> None:
        super().__init__(text)
        self.refused = refused
        self.gone = gone
        self.rest = rest
