"""``greenmine evidence``: build bundles of figures and raw data, and check them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import cyclopts
from rich.console import Console
from rich.progress import Progress, TaskID

from greenmine.cli import fault_of
from greenmine.evidence.bounded import Bounds, BoundsError, Onward, bounded

_MEMORY: Final = 480_000_000
_MEMORY_SHARE: Final = 16
"""Memory that a check may take: so much, and for the figures of a long period so many times the bundle beyond `_PLAIN` [bytes]."""
_PLAIN: Final = 27_000_000
_SECONDS: Final = 55.0
_BYTES_A_SECOND: Final = 200_000
"""Processor time that it may take [s], and for how many bytes of the bundle a second more."""

app = cyclopts.App(name="evidence", help="Build evidence bundles for a mine and a period, and check them.")
app.command(
    "greenmine.cli.bundling:build",
    help="Build a bundle: report, figures, raw data, registry, limits and signature in one zip.",
)


@app.command
def verify(
    bundle: Path,
    /,
    *,
    key: Sequence[Path] = (),
    trust: Path | None = None,
    catalogues: Path | None = None,
    witness: Sequence[Path] = (),
    receipts: Sequence[Path] = (),
    memory: int | None = None,
    seconds: int | None = None,
) -> None:
    """Check a bundle: signature, digests, chain of sealed days, and every figure computed anew. Works offline.

    Says which key it is signed with, and where its catalogues of limits and of all else differ from those that ship. Exits with 0
    if the bundle is whole, by a key that is trusted, and no number of the law was changed; 1 if there are findings, or a legal
    limit was changed; 2 if it was called wrongly; 3 if all is whole but nothing shows whose key it is.

    Parameters
    ----------
    bundle
        The zip.
    key
        Public key of its maker (PEM), as handed out before; may be given several times. Without it and --trust the key in the
        bundle is used, which shows only that the bundle is whole.
    trust
        File of keys that are trusted: in each line the fingerprint of one, and behind it whose it is.
    catalogues
        Directory with limits.toml, parameters.toml and others that are trusted in place of those that ship.
    witness
        Witness that is trusted (PEM): the roots of a time-stamp authority, or the public key of another installation; may be given
        several times.
    receipts
        Receipts that a witness handed out, as `greenmine archive receipts` writes them; may be given several times.
    memory
        Most memory that it may take [MB]. Default: 480, or more for a larger bundle.
    seconds
        Most processor time that it may take [s]. Default: 55, or more for a larger bundle.
    """
    try:
        if not bundle.is_file():
            raise ValueError(f"{bundle}: is not there, or no file")  # noqa: TRY301 - said as the others are
        size = bundle.stat().st_size
        with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
            task: TaskID = bar.add_task("computing", total=None)
            lines, status = bounded(
                _checked,
                (bundle,),
                {"key": key, "trust": trust, "catalogues": catalogues, "witness": witness, "receipts": receipts},
                Bounds(
                    _MEMORY + _MEMORY_SHARE * max(0, size - _PLAIN) if memory is None else memory * 1_000_000,
                    _SECONDS + size / _BYTES_A_SECOND if seconds is None else seconds,
                ),
                lambda done, total: bar.update(task, completed=done, total=total),
                ("greenmine.cli.checking",),
            )
    except (ValueError, OSError) as error:
        sys.stderr.write(f"greenmine evidence verify: {' '.join(fault_of(error).split())}\n")
        raise SystemExit(2) from error
    except BoundsError as error:
        more = (
            f" to check; --{error.bound} allows more" if error.bound else " while it was checked; it is no sound bundle"
        )
        sys.stdout.write(f"{bundle}: {error}{more}\n")
        raise SystemExit("1 finding") from error
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    if status:
        raise SystemExit(status)


def _checked(
    bundle: Path, progress: Callable[[int, int], None], *, workspace: Path, **given: Any
) -> tuple[list[str], int | str] | Onward:
    from greenmine.cli.checking import checked  # noqa: PLC0415 - the process that checks loads it, this one does without

    return checked(bundle, progress, workspace=workspace, **given)
