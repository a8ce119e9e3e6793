"""Encryption of what stands in CP: SM4 with keys that both sides have been given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from greenmine.collector.hj212.deviation import Fault
from greenmine.collector.hj212.dialect import Dialect
from greenmine.collector.hj212.frame import CIPHER, Frame, cipher_bytes
from greenmine.collector.hj212.secret import HIDDEN

BLOCK: Final = 16
"""Bytes that are encrypted at once, and of a key."""
_COMMAND: Final = re.compile(rb"(?:^|;)CN=(2[0-9]{3}|1014|3020);")
"""Commands whose content is encrypted (HJ 212-2025, 6.4.2)."""
_OPENED: Final = b"CP=&&"
_UNREADABLE: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
"""What no text has; one check sum in 256 fits by chance, and would let through what a wrong key makes."""


class Sm4Key:
    """A key; it does not show itself.

    Parameters
    ----------
    text : str
        32 hexadecimal digits, or 16 signs of ASCII.

    Raises
    ------
    ValueError
        If the text is neither; it is not repeated.
    """

    __slots__ = ("_cipher",)

    def __init__(self, text: str) -> None:
        if re.fullmatch(r"[0-9A-Fa-f]{32}", text):
            key = bytes.fromhex(text)
        elif re.fullmatch(r"[!-~]{16}", text):
            key = text.encode()
        else:
            raise ValueError("a key of SM4 is 32 hexadecimal digits or 16 signs of ASCII")
        self._cipher = Cipher(algorithms.SM4(key), modes.ECB())  # noqa: S305 - the standard's mode

    def __repr__(self) -> str:
        return HIDDEN

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt whole blocks."""
        return self._cipher.encryptor().update(data)

    def decrypt(self, data: bytes) -> bytes:
        """Decrypt whole blocks."""
        return self._cipher.decryptor().update(data)


def check_sm4() -> None:
    """Make sure that the system's OpenSSL has SM4.

    Raises
    ------
    ValueError
        If it has not.
    """
    try:
        Sm4Key("0" * 32).encrypt(bytes(BLOCK))
    except UnsupportedAlgorithm:
        raise ValueError(
            "the OpenSSL that the package cryptography uses has no SM4, which HJ 212-2025 encrypts with; install the "
            "package's own wheel, or give no keys"
        ) from None


def is_confidential(segment: bytes) -> bool:
    """Whether the content of a data segment is to be encrypted: by its command, and if it has a whole block."""
    start = segment.find(_OPENED)
    if start < 0 or _COMMAND.search(segment, 0, start) is None:
        return False
    return len(segment) - start - len(_OPENED) - len(b"&&") >= BLOCK


def encrypt_segment(segment: bytes, key: Sm4Key) -> bytes:
    """Encrypt the content of a data segment, if it is confidential.

    Parameters
    ----------
    segment : bytes
        Plain, with ``CP=&&`` and ``&&``.
    key : Sm4Key
        The key.

    Returns
    -------
    bytes
        The whole blocks between ``CP=&&`` and ``&&`` as ``{0xE4,0x3E,...}``; the rest, of fewer than 16 bytes, as it was.

    References
    ----------
    HJ 212-2025, 6.4.2 and Annex A.2; GB/T 32907.
    """
    if not is_confidential(segment):
        return segment
    start = segment.index(_OPENED) + len(_OPENED)
    content = segment[start:-2]
    whole = len(content) // BLOCK * BLOCK
    written = ",".join(f"0x{byte:02X}" for byte in key.encrypt(content[:whole]))
    return b"%s{%s}%s&&" % (segment[:start], written.encode(), content[whole:])


def unlocked(frame: Frame, keys: Sequence[Sm4Key], dialect: Dialect) -> tuple[Frame, Sm4Key | None]:
    """Decrypt a frame.

    Parameters
    ----------
    frame : Frame
        From a ``Framer``.
    keys : sequence of Sm4Key
        Those that may fit.
    dialect : Dialect
        Has the check sum, which is over the plain segment.

    Returns
    -------
    frame : Frame
        With the plain segment; as it was if it is not encrypted any more, or damaged; with a fault if no key fits.
    key : Sm4Key or None
        The key that fits.
    """
    if not frame.encrypted or frame.fault is not None or frame.computed is not None:
        return frame, None
    match = CIPHER.search(frame.segment)
    assert match is not None
    cipher = cipher_bytes(match)
    start, end = match.start(1), match.end()
    for key in keys:
        content = key.decrypt(cipher)
        segment = frame.segment[:start] + content + frame.segment[end:]
        computed = dialect.checksum(segment)
        if computed == (frame.crc or "").upper() and _UNREADABLE.search(content) is None:
            return replace(frame, segment=segment, computed=computed), key
    why = "none of the keys of this device fits" if keys else "it is encrypted, and there is no key of this device"
    return replace(frame, fault=Fault.KEY, text=why), None


def without_cipher(segment: bytes) -> bytes:
    """A data segment without what is still encrypted in it."""
    match = CIPHER.search(segment)
    return segment if match is None else segment[: match.start(1)] + b"&&"


def read_keys(path: Path) -> dict[str, tuple[Sm4Key, ...]]:
    """Keys by MN, the newest first.

    Parameters
    ----------
    path : Path
        File with a line ``MN = KEY`` for each key; of two lines with one MN the later one has the newer key.

    Raises
    ------
    ValueError
        If the file cannot be read or a line is wrong; no key is repeated.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: the keys cannot be read: {error}") from error
    found: dict[str, tuple[Sm4Key, ...]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        mn, equals, text = (part.strip() for part in line.partition("="))
        if not mn or not equals:
            raise ValueError(f"{path}, line {number}: each line is MN = KEY")
        try:
            found[mn] = (Sm4Key(text), *found.get(mn, ()))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        if len(found[mn]) > _VALID:
            raise ValueError(f"{path}, line {number}: {mn} has more than {_VALID} keys; take out the oldest")
    return found


_VALID: Final = 2
"""Keys that are valid at the same time, around a change (HJ 212-2025, 6.4.3)."""
