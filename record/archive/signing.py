"""The signing key of an installation (Ed25519), and the keys before it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from greenmine.files import replace

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

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Its own, as that of a ring of one key."""
        return (self.fingerprint,)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature (64 bytes) is that of the data by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except InvalidSignature:
            return False
        return True


class Succession(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Word of a key that another one takes its place."""

    made: int
    """When, by the installation's clock [ms UTC]."""
    before: str
    """The key that says so, 32 bytes in base64."""
    after: str
    """The one that signs from now on, likewise."""
    signature: str
    """Of the key before, base64."""

    def said(self) -> bytes:
        """The bytes that are signed."""
        return b"greenmine-succession-1\n%d\n%s\n%s\n" % (self.made, self.before.encode(), self.after.encode())


@dataclass(frozen=True, slots=True)
class Keyring:
    """The public keys of an installation: each was named by the one before it."""

    keys: tuple[PublicKey, ...]
    """At least one, the oldest first; the last one signs."""
    successions: tuple[Succession, ...] = ()

    @classmethod
    def of(cls, newest: PublicKey, successions: Sequence[Succession]) -> Self:
        """Keys that lead to the newest one.

        Raises
        ------
        ValueError
            If a succession is not signed by the key before, or does not follow on the one before it, or another key is the last.
        """
        keys: list[PublicKey] = []
        for one in successions:
            before, after = (PublicKey(_decoded(text, 32)) for text in (one.before, one.after))
            if keys and keys[-1] != before:
                raise ValueError(
                    f"the key {before.fingerprint[:16]}… names a successor, but is not the one that was named last"
                )
            if not before.verifies(_decoded(one.signature, 64), one.said()):
                raise ValueError(f"the key {after.fingerprint[:16]}… was not named by that before it")
            keys = [*(keys or [before]), after]
        if keys and keys[-1] != newest:
            raise ValueError(
                f"the keys lead to {keys[-1].fingerprint[:16]}…; it is signed with {newest.fingerprint[:16]}…"
            )
        return cls(tuple(keys) or (newest,), tuple(successions))

    @property
    def newest(self) -> PublicKey:
        """The key that signs."""
        return self.keys[-1]

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of all keys, the oldest first."""
        return tuple(key.fingerprint for key in self.keys)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature (64 bytes) is that of the data by one of the keys."""
        return any(key.verifies(signature, data) for key in self.keys)


def read_successions(directory: Path) -> list[Succession]:
    """Successions of an installation's keys, the oldest first; none before the first.

    Raises
    ------
    ValueError, OSError
        If the file is not sound, or cannot be read.
    """
    path = directory / _SUCCESSIONS
    if not path.exists():
        return []
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Succession])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error


def read_keyring(directory: Path) -> Keyring:
    """The public keys of an installation, from its directory of keys.

    Raises
    ------
    ValueError, OSError
        If there is none, or they are not sound.
    """
    return Keyring.of(PublicKey.read(directory / "archive.pub"), read_successions(directory))


def rotate(directory: Path, now: int) -> Keyring:
    """Make a new signing key, named by the one there is; whoever calls holds the lock of the key.

    The key before is put aside as ``archive-FINGERPRINT.key``: nothing is signed with it any more. A rotation that was
    interrupted is finished by whoever reads the key next, or begins again.

    Raises
    ------
    ValueError, OSError
        If the key there is cannot be read, or the new one not be written.
    """
    old = SigningKey(directory)
    following = directory / _NEXT
    following.unlink(missing_ok=True)
    _make(following)
    public = _read_private(following).public_key().public_bytes_raw()
    named = Succession(now, _text(old.public.raw), _text(public), "")
    named = msgspec.structs.replace(named, signature=_text(old.sign(named.said())))
    aside = directory / f"archive-{old.public.fingerprint[:16]}.key"
    aside.unlink(missing_ok=True)
    os.link(directory / "archive.key", aside)
    told = [*read_successions(directory), named]
    replace(directory / _SUCCESSIONS, msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n", 0o644)
    SigningKey(directory)
    return read_keyring(directory)


_SUCCESSIONS: Final = "successions.json"
_NEXT: Final = "archive.key.next"


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
        _finish_rotation(directory)
        self._key = _read_private(path)
        self.lock = directory / ".archive.lock"
        """File by which `greenmine.files.locked` lets one process at a time append to the chains that the key signs."""
        self.public = PublicKey(self._key.public_key().public_bytes_raw())
        told = directory / "archive.pub"
        if not told.exists() or told.read_bytes() != self.public.pem:
            replace(told, self.public.pem, 0o644)
        self.ring = Keyring.of(self.public, read_successions(directory))
        """Its public key, and those before it."""

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


def _read_private(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: is no private key in PEM form without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path}: is a key of another kind; an Ed25519 private key would be right")  # noqa: TRY004 - of the file, not of an argument
    return key


def _finish_rotation(directory: Path) -> None:
    """Put the key into its place that the newest succession names."""
    following, told = directory / _NEXT, read_successions(directory)
    if told and following.exists():
        public = _read_private(following).public_key().public_bytes_raw()
        if told[-1].after == _text(public):
            following.replace(directory / "archive.key")


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decoded(text: str, length: int) -> bytes:
    raw = base64.b64decode(text, validate=True)
    if len(raw) != length:
        raise ValueError(f"holds {len(raw)} bytes where {length} were due")
    return raw
