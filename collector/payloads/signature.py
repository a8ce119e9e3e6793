"""Signed messages: the payload with the signature of the device or gateway that sent it behind it (Ed25519, RFC 8032)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.entries import SenderKey

_BEGIN: Final = b"\n#ed25519 "
_TRAILER: Final = re.compile(_BEGIN + rb"([A-Za-z0-9+/]{86}==)\s*\Z")
_FORM: Final = b"greenmine-signed-1\n"


class Signed(NamedTuple):
    """A payload without its signature, and the signature [64 bytes]."""

    content: bytes
    signature: bytes


def parted(payload: bytes) -> Signed | None:
    """A signed payload in its two parts; None where no signature is behind it."""
    begin = payload.find(_BEGIN, -_LONGEST)
    found = None if begin < 0 else _TRAILER.search(payload, begin)
    return None if found is None else Signed(payload[: found.start()], base64.b64decode(found[1]))


_LONGEST: Final = 120
"""Within so many bytes of the end a signature begins."""


def joined(signed: Signed) -> bytes:
    """The payload as it is sent, with its signature behind it."""
    return signed.content + _BEGIN + base64.b64encode(signed.signature)


def sign(topic: str, content: bytes, key: Ed25519PrivateKey) -> bytes:
    """A payload as it is sent: with the signature of a key on topic and content behind it."""
    return joined(Signed(content, key.sign(_FORM + topic.encode() + b"\n" + content)))


Sealing = Callable[[str, bytes], bytes]
"""Takes topic and payload, and returns the payload with its signature."""


def sealing(path: Path) -> Sealing:
    """What signs with the key of a file (PEM); `ValueError` if it holds no Ed25519 private key, `OSError` if it cannot be read."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: is no private key in PEM form without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path}: is a key of another kind; an Ed25519 private key would be right")  # noqa: TRY004 - of the file
    return lambda topic, content: sign(topic, content, key)


def signer(topic: str, signed: Signed, keys: Sequence[SenderKey], day: date) -> SenderKey:
    """The key that signed a message.

    Parameters
    ----------
    topic : str
        That it was published on; it is part of what is signed, so that no message can be passed off as another device's.
    signed : Signed
        Its parts.
    keys : sequence of SenderKey
        Of the device.
    day : date
        Local day of its receipt.

    Raises
    ------
    RefusedError
        If it is the signature of none of the keys that were in force.
    """
    valid = [key for key in keys if in_force(key, day)]
    for key in valid:
        try:
            Ed25519PublicKey.from_public_bytes(key.raw).verify(
                signed.signature, _FORM + topic.encode() + b"\n" + signed.content
            )
        except InvalidSignature:
            continue
        return key
    names = ", ".join(key.public for key in valid) or "none"
    raise RefusedError(Reason.BAD_SIGNATURE, f"the signature is by no key of the device in force on {day} ({names})")


def in_force(key: SenderKey, day: date) -> bool:
    """Whether a key holds on a day; both ends of its term are included."""
    return key.valid_from <= day and (key.valid_to is None or day <= key.valid_to)
