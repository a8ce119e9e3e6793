"""The signing key of an installation (Ed25519)."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_FINGERPRINT: Final = re.compile("[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What a signature is checked with."""

    raw: bytes
    """32 bytes, RFC 8032."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a PEM file.

        Raises
        ------
        ValueError
            If it holds no Ed25519 public key.
        OSError
            If it cannot be read.
        """
        try:
            key = serialization.load_pem_public_key(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path}: is no public key in PEM form") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError(f"{path}: is a key of another kind; an Ed25519 public key would be right")  # noqa: TRY004 - of the file, not of an argument
        return cls(key.public_bytes_raw())

    @property
    def pem(self) -> bytes:
        """The key as a PEM file."""
        return Ed25519PublicKey.from_public_bytes(self.raw).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the raw key, in hexadecimal: short enough to be read aloud in parts."""
        return hashlib.sha256(self.raw).hexdigest()

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature (64 bytes) is that of the data by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except InvalidSignature:
            return False
        return True


def fingerprints(path: Path) -> dict[str, str]:
    """Keys that a file names: in each line a fingerprint and behind it whose it is; behind ``#`` stands what is for people.

    Raises
    ------
    ValueError
        If a line begins with anything else, or there is none.
    OSError
        If it cannot be read.
    """
    owners: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        fingerprint, _, owner = line.split("#", 1)[0].strip().partition(" ")
        if not fingerprint:
            continue
        if not _FINGERPRINT.fullmatch(fingerprint):
            raise ValueError(f"{path}, line {number}: must begin with a fingerprint of 64 hexadecimal digits")
        owners[fingerprint.lower()] = owner.strip() or f"{path}, line {number}"
    if not owners:
        raise ValueError(f"{path}: names no key")
    return owners


class SigningKey:
    """The private key.

    Parameters
    ----------
    directory : Path
        Holds ``archive.key`` (PKCS 8, PEM, readable by its owner only) and ``archive.pub``, the public key to hand out; both are
        made if they are not there.

    Raises
    ------
    ValueError
        If ``archive.key`` holds no Ed25519 private key.
    OSError
        If the files cannot be read or written.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / "archive.key"
        if not path.exists():
            _make(path)
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: is no private key in PEM form without a password") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path}: is a key of another kind; an Ed25519 private key would be right")  # noqa: TRY004 - as above
        self._key = key
        self.lock = directory / ".archive.lock"
        """File by which `greenmine.files.locked` lets one process at a time append to the chains that the key signs."""
        self.public = PublicKey(key.public_key().public_bytes_raw())
        told = directory / "archive.pub"
        if not told.exists():
            told.write_bytes(self.public.pem)

    def sign(self, data: bytes) -> bytes:
        """Signature of 64 bytes; the same data has always the same (RFC 8032)."""
        return self._key.sign(data)


def _make(path: Path) -> None:
    """Write a new key; of two processes that do so at once, the first wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    own = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(own, path)
    except FileExistsError:
        pass
    finally:
        own.unlink()
