"""``greenmine key``: the key that signs archive, evidence and statements, and those before it."""

from __future__ import annotations

import sys
from pathlib import Path

import cyclopts

from greenmine.evidence.inclusion import moment
from greenmine.files import locked
from greenmine.record.archive.signing import Keyring, read_keyring, rotate
from greenmine.settings import Settings
from greenmine.times import now

app = cyclopts.App(name="key", help="Show the public key of an installation, and hand it out.")


@app.command(name="list")
def list_(*, data: Path | None = None) -> None:
    """Show the fingerprint of the public key and where it lies, then those of the keys before it and until when they signed.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    path, ring = _ring(data)
    sys.stdout.write(f"{ring.newest.fingerprint}  {path}\n")
    for one, fingerprint in zip(reversed(ring.successions), ring.fingerprints[-2::-1], strict=True):
        sys.stdout.write(f"{fingerprint}  until {moment(one.made)}\n")


@app.command(name="rotate")
def rotate_(*, data: Path | None = None) -> None:
    """Make a new key, named by the one there is: from now on it signs, and what the old one signed stays valid.

    Hand out the new public key. The old private key is put aside; take it away to a safe place. Running processes take the new
    key at their next turn.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    path, _ = _ring(data)
    try:
        with locked(path.parent / ".archive.lock"):
            ring = rotate(path.parent, now())
    except (OSError, ValueError) as error:
        raise SystemExit(f"greenmine key rotate: {error}") from error
    old = ring.fingerprints[-2]
    sys.stdout.write(f"{ring.newest.fingerprint}  {path}\n")
    sys.stdout.write(f"{old}  no longer signs; its private key is {path.with_name(f'archive-{old[:16]}.key')}\n")


@app.command
def export(out: Path, /, *, data: Path | None = None) -> None:
    """Write the public key (PEM) into a file, to hand out to those who shall check later.

    Parameters
    ----------
    out
        The file; one that is there stays as it is.
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    public = _ring(data)[1].newest
    try:
        with out.open("xb") as file:
            file.write(public.pem)
    except OSError as error:
        raise SystemExit(f"greenmine key export: {error}") from error
    sys.stdout.write(f"{out}: {public.fingerprint}\n")


def _ring(data: Path | None) -> tuple[Path, Keyring]:
    settings = Settings() if data is None else Settings(data=data)
    try:
        return settings.keys / "archive.pub", read_keyring(settings.keys)
    except (OSError, ValueError) as error:
        raise SystemExit(f"greenmine key: {error}; it is made when `greenmine run` first starts") from error
