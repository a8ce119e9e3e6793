"""``greenmine simulate --hj212``: the simulated mines as data loggers that speak HJ 212."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, Literal

from rich.console import Console

from greenmine.collector.hj212.codes import Version
from greenmine.collector.hj212.keys import KeyRing
from greenmine.registry import Registry
from greenmine.simulators.loggers.faults import WIRE_KINDS
from greenmine.simulators.loggers.fleet import Member, fleet, run, wire_truth
from greenmine.simulators.loggers.sim_clock import SimClock

_EXAMPLE: Final = "123456"
"""Password of the standard's examples."""


def run_loggers(
    registry: Registry,
    sites: Collection[str],
    seed: int,
    start: int,
    end: int | None,
    faults: Collection[str],
    speed: float | Literal["max"],
    out: Path | None,
    platform: str,
    version: Version,
    copies: int,
    keys: Path | None,
) -> None:
    """Let the loggers report to the end, or until Ctrl-C or SIGTERM; print who they are, and in the end what they did.

    Raises
    ------
    ValueError
        If the platform is not HOST:PORT, the number of copies is not above 0, or the file of keys is wrong.
    """
    host, _, port = platform.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"--hj212 '{platform}' is not HOST:PORT, such as 127.0.0.1:9212")
    if copies < 1:
        raise ValueError(f"--copies {copies} is out of range; a number above 0 would be right")
    members = fleet(
        registry,
        sites,
        seed,
        start,
        end,
        host,
        int(port),
        os.environ.get("GREENMINE_HJ212_PASSWORD", _EXAMPLE),
        version=version,
        faults=[kind for kind in WIRE_KINDS if kind in faults],
        copies=copies,
        keys=KeyRing(keys),
        clock=SimClock() if speed == "max" or (end is None and speed == 1.0) else SimClock(speed, start),
    )
    for member in members:
        sys.stdout.write(f"{member.key} MN={member.mn} ST={member.logger.sender.st}\n")
    sys.stdout.flush()
    counts = asyncio.run(_run(members))
    console = Console(stderr=True)
    console.print(
        f"{counts['answered']} messages answered by {platform}, {counts['resent']} sent again, "
        f"{counts['connections']} connections, {counts['requests']} requests"
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        until = time.time_ns() // 1_000_000 if end is None else end
        known = wire_truth(members, registry, sites, seed, start, until)
        known.write(out / "truth.json")
        console.print(f"{len(known.faults)} faults and {len(known.events)} events written to {out / 'truth.json'}")


async def _run(members: Sequence[Member]) -> Counter[str]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return await run(members, stop)
