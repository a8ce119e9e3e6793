"""Passwords: which are good enough, and how they are kept.

References
----------
NIST SP 800-63B-4, 2025, 3.1.1.2: length before rules of composition, and a list of what is refused; RFC 9106, 2021: argon2id.
"""

from __future__ import annotations

from functools import cache
from threading import BoundedSemaphore
from typing import Final

from pwdlib import PasswordHash

from greenmine.api.accounts.secret import new_secret

SHORTEST: Final = 12
LONGEST: Final = 256
_STRENGTH: Final = 3
"""Of 0 to 4: "safely unguessable" by zxcvbn, above 10^8 guesses; with argon2 each costs 64 MiB and a tenth of a second."""
_REMAINDER: Final = 6
"""Characters beside the names of its owner."""
_AT_ONCE: Final = BoundedSemaphore(2)
"""Hashing takes 64 MiB each: many at once would take the machine's memory."""
_PATIENCE: Final = 10.0

_HASH: Final = PasswordHash.recommended()


class WeakPasswordError(ValueError):
    """A password that is too short, too long or too easily guessed; ``key`` names the text that says so."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def check_password(password: str, *words: str) -> None:
    """Refuse a password that others would guess.

    Parameters
    ----------
    password : str
        As typed.
    *words : str
        What is known of its owner, such as the name of the account.

    Raises
    ------
    WeakPasswordError
        Shorter than 12 characters, longer than 256, or among the first that an attacker tries.
    """
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its lists of words are large, and passwords are seldom chosen

    if len(password) < SHORTEST:
        raise WeakPasswordError("short", f"a password has at least {SHORTEST} characters")
    if len(password) > LONGEST:
        raise WeakPasswordError("long", f"a password has at most {LONGEST} characters")
    words = ("greenmine", *words)
    remainder = password.casefold()
    for word in words:
        remainder = remainder.replace(word.casefold(), "")
    if len(remainder) < _REMAINDER or zxcvbn(password[:72], user_inputs=list(words))["score"] < _STRENGTH:
        raise WeakPasswordError(
            "obvious", "this password is easily guessed; four or five unrelated words would be right"
        )


def hash_password(password: str) -> str:
    """Argon2id hash of a password."""
    with _Turn():
        return _HASH.hash(password)


def verify_password(password: str, hashed: str | None) -> bool:
    """Whether a password belongs to a hash; without one it takes as long, and is False.

    Raises
    ------
    TimeoutError
        Too many are being checked at the moment.
    """
    with _Turn():
        nobody = _nobody()  # in any case: the first one takes longer
        right = _HASH.verify(password[: LONGEST + 1], hashed or nobody)
    return right and hashed is not None


@cache
def _nobody() -> str:
    """Hash that no password belongs to."""
    return _HASH.hash(new_secret())


class _Turn:
    def __enter__(self) -> None:
        if not _AT_ONCE.acquire(timeout=_PATIENCE):
            raise TimeoutError("too many passwords are being checked at the moment")

    def __exit__(self, *_: object) -> None:
        _AT_ONCE.release()
