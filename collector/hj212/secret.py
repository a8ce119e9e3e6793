"""Passwords and keys: kept for comparison and for sending, never shown."""

from __future__ import annotations

import hmac
import re
from typing import Final

HIDDEN: Final = "***"
"""Stands for what is not shown."""

_NAMED: Final = r"(?i)((?:pw|sk|password)\s*=\s*)"
_TO_SEPARATOR: Final = re.compile(_NAMED + r"[^;\s][^;]*")
_TO_SEPARATOR_OR_CP: Final = re.compile(_NAMED + r"(?!&&)[^;\s](?:[^;&]|&(?!&))*")


class Secret:
    """A text that shows itself as ``***``.

    Parameters
    ----------
    text : str
        The text.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for a frame that is sent."""
        return self._text

    def matches(self, text: str) -> bool:
        """Whether it is this text, in a time that does not depend on where they differ."""
        return hmac.compare_digest(self._text.encode(errors="surrogatepass"), text.encode(errors="surrogatepass"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._text)

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return HIDDEN


def is_secret(name: str) -> bool:
    """Whether what stands behind this name must not be shown: PW, NewPW, NewSK and what looks like them."""
    folded = name.strip().lower()
    return folded in {"sk", "newsk"} or folded.startswith("pw") or folded.endswith(("pw", "password"))


def hide(text: str) -> str:
    """A text without the secrets that damaged separators have left inside it.

    Examples
    --------
    >>> hide("2011,PW=123456,MN=1")
    '2011,PW=***'
    """
    return _TO_SEPARATOR.sub(rf"\1{HIDDEN}", text) if "=" in text else text


def hide_in_segment(text: str) -> str:
    """A data segment without the secrets in it.

    Examples
    --------
    >>> hide_in_segment("PW=123456;CP=&&NewPW=abcdef&&")
    'PW=***;CP=&&NewPW=***&&'
    """
    return _TO_SEPARATOR_OR_CP.sub(rf"\1{HIDDEN}", text)
