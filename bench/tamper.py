"""Bundles tampered with in every file, and hostile zips and Parquet files: found or refused, within bounds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from bench.table import Row
from greenmine.cli.checking import checked
from greenmine.evidence.bounded import Bounds, BoundsError, bounded
from greenmine.record.archive.signing import SigningKey
from tests.evidence import crafted, hostile
from tests.evidence.bundles import Made, contents, packed
from tests.evidence.tampering import tamperings

MEMORY: Final = 512e6
SECONDS: Final = 60.0
_BOMB: Final = 200_000_000
"""Equal rows of a day."""


def measure() -> Iterator[Row]:
    """The rows of this subject."""
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        folder = Path(name)
        made = Made(folder / "here")
        stranger = SigningKey(folder / "stranger")
        files, whole = contents(made.bundle), made.bundle.read_bytes()
        target = folder / "t.zip"

        def tampered() -> Iterator[str]:
            for what, changed in tamperings(files, made.key, stranger, np.random.default_rng(17)):
                packed(target, changed)
                yield what

        def refused() -> Iterator[str]:
            for what, content in hostile.zips(whole, files):
                target.write_bytes(content)
                yield what
            crafts = (crafted.documents, crafted.bombs, crafted.tables, crafted.catalogues)
            for what, changed in chain(
                hostile.days(files, made.key, _BOMB), *(craft(files, made.key) for craft in crafts)
            ):
                packed(target, changed)
                yield what

        yield from _each("tampered bundle", tampered(), target, folder / "here/keys/archive.pub")
        yield from _each("hostile zip or Parquet file", refused(), target, folder / "here/keys/archive.pub")


def _each(kind: str, names: Iterable[str], target: Path, key: Path) -> Iterator[Row]:
    count, missed, ended, longest, memory = 0, [], 0, 0.0, 0.0
    for what in names:
        begun = time.perf_counter()
        try:
            given = {"key": [key], "trust": None, "catalogues": None, "witness": [], "receipts": []}
            peaks = [0.0]
            lines, status = bounded(
                checked, (target,), given, Bounds(MEMORY, SECONDS), lambda *_: None, (checked.__module__,), peaks.append
            )
            memory = max(memory, *peaks)
            if not status and not any(line.startswith("deviation ") for line in lines):
                missed.append(what)
        except BoundsError:  # refused by the command, too
            ended += 1
        longest = max(longest, time.perf_counter() - begun)
        count += 1
    shown = "".join(f"; {what}" for what in missed[:20])
    yield Row(
        "tamper",
        f"{kind}: neither found nor refused{shown}",
        f"{len(missed)} of {count}",
        "0",
        float(len(missed)),
        "<=",
        0.0,
    )
    yield Row("tamper", f"{kind}: refused for the memory or time it took", f"{ended} of {count}", "", None)
    yield Row("tamper", f"{kind}: longest check", f"{longest:.1f} s", f"{SECONDS:.0f} s", longest / SECONDS, "<=", 1.0)
    yield Row(
        "tamper", f"{kind}: peak memory", f"{memory / 1e6:.0f} MB", f"{MEMORY / 1e6:.0f} MB", memory / MEMORY, "<=", 1.0
    )
