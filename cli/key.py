"""``greenmine key``: the key that signs archive, evidence and statements."""

from __future__ import annotations

import sys
from pathlib import Path

import cyclopts

from greenmine.record.archive.signing import PublicKey
from greenmine.settings import Settings

app = cyclopts.App(name="key", help="Show the public key of an installation, and hand it out.")


@app.command(name="list")
def list_(*, data: Path | None = None) -> None:
    """Show the fingerprint of the public key, and where it lies.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    path, public = _public(data)
    sys.stdout.write(f"{public.fingerprint}  {path}\n")


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
    _, public = _public(data)
    try:
        with out.open("xb") as file:
            file.write(public.pem)
    except OSError as error:
        raise SystemExit(f"greenmine key export: {error}") from error
    sys.stdout.write(f"{out}: {public.fingerprint}\n")


def _public(data: Path | None) -> tuple[Path, PublicKey]:
    settings = Settings() if data is None else Settings(data=data)
    path = settings.keys / "archive.pub"
    try:
        return path, PublicKey.read(path)
    except (OSError, ValueError) as error:
        raise SystemExit(f"greenmine key: {error}; it is made when the first day is sealed") from error
