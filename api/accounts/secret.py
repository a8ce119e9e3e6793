"""Random secrets: handed out once, kept as their SHA-256.

A secret of 256 random bits needs no slow hash: it cannot be guessed, and whoever reads the accounts cannot sign in by it.
"""

from __future__ import annotations

import hashlib
import secrets


def new_secret(prefix: str = "") -> str:
    """A secret of 256 random bits, safe in URLs and headers; the prefix tells what it is for."""
    return prefix + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is stored of a secret: looking it up by its hash tells nothing by the time it takes."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
