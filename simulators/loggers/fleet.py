"""Many simulated loggers in one process, one for each device of the mines, or several."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from greenmine.collector.hj212.codes import Version
from greenmine.collector.hj212.compose import Sender
from greenmine.collector.hj212.keys import KeyRing
from greenmine.collector.hj212.link import Terms
from greenmine.collector.hj212.secret import Secret
from greenmine.registry import Registry
from greenmine.simulators.clock import DAY_MS
from greenmine.simulators.loggers.faults import WIRE_KINDS, FaultyLine, WireFault, WireKind, WirePlans, WireTruth
from greenmine.simulators.loggers.logger import Habits, SimulatedLogger
from greenmine.simulators.loggers.report import Reporter
from greenmine.simulators.loggers.sim_clock import SimClock
from greenmine.simulators.loggers.source import MineSource
from greenmine.simulators.mine import Mine, truth


@dataclass(frozen=True, slots=True)
class Member:
    """One logger of a fleet."""

    key: str
    """``site/device`` whose readings it has."""
    mn: str
    plans: WirePlans
    logger: SimulatedLogger


def number(site: str, device: str, copy: int = 0) -> str:
    """MN of a simulated logger: 24 hexadecimal digits that follow from what it measures.

    Examples
    --------
    >>> len(number("kunyin", "weather")), number("kunyin", "weather") != number("kunyin", "weather", 1)
    (24, True)
    """
    name = f"{site}/{device}" + (f"#{copy}" if copy else "")
    return blake2b(name.encode(), digest_size=12).hexdigest().upper()


def fleet(
    registry: Registry,
    sites: Collection[str],
    seed: int,
    start: int,
    end: int | None,
    host: str,
    port: int,
    password: str,
    *,
    version: Version = 2017,
    faults: Sequence[WireKind] = WIRE_KINDS,
    copies: int = 1,
    codes: Mapping[str, str] | None = None,
    habits: Habits | None = None,
    clock: SimClock | None = None,
    terms: Terms | None = None,
    keys: KeyRing | None = None,
) -> list[Member]:
    """A logger for each device of some sites.

    Parameters
    ----------
    registry : Registry
        The mines.
    sites : collection of str
        Those to simulate.
    seed : int
        Seed of the simulation.
    start, end : int, int or None
        First DataTime, and the last, exclusive [ms UTC]; None: without end.
    host, port, password : str, int, str
        The platform, and PW of all loggers.
    version : {2005, 2017, 2025}
        Edition that they speak.
    faults : sequence of WireKind
        Kinds of fault to inject.
    copies : int
        Loggers for each device: the same readings under different numbers.
    codes : mapping or None
        Factor codes by parameter, where they are not those of the catalogue.
    keys : KeyRing or None
        Keys of SM4 by MN; loggers without any encrypt nothing.
    habits, clock, terms : Habits, SimClock, Terms or None
        How each is set up; its time; how long it waits for answers (each has its own).
    """
    members = []
    conditions = registry.conditions
    for site in sites:
        mine = Mine(registry, site, seed)
        for device in mine.site.devices:
            if not device.parameters:
                continue
            source = MineSource(registry, mine, device, codes)
            system = registry.themes[source.factors[0].parameter.theme].hj212
            zone = mine.site.zone
            reporter = Reporter(source, zone, conditions.day_start, conditions.night_start)
            for copy in range(copies):
                mn = number(site, device.id, copy)
                plans = WirePlans(seed, mn, f"{site}/{device.id}", source, faults)
                logger = SimulatedLogger(
                    Sender(mn, system, Secret(password), version),
                    source,
                    reporter,
                    host,
                    port,
                    start,
                    end,
                    clock=clock,
                    habits=habits,
                    zone=zone,
                    at=plans.at,
                    line=FaultyLine(plans.at),
                    terms=Terms() if terms is None else Terms(terms.overtime, terms.recount),
                    keys=tuple if keys is None else partial(keys.of, mn),
                )
                members.append(Member(f"{site}/{device.id}", mn, plans, logger))
    return members


async def run(members: Iterable[Member], stop: asyncio.Event | None = None) -> Counter[str]:
    """Let loggers report until ``stop`` is set, or all up to their end is acknowledged.

    Returns
    -------
    Counter
        Their counts, summed; see ``SimulatedLogger``.
    """
    loggers = [member.logger for member in members]
    async with asyncio.TaskGroup() as group:
        for logger in loggers:
            group.create_task(logger.run(stop))
    return sum((logger.counts for logger in loggers), Counter())


def wire_truth(
    members: Iterable[Member], registry: Registry, sites: Collection[str], seed: int, start: int, end: int
) -> WireTruth:
    """Ground truth of a fleet from ``start`` to before ``end`` [ms UTC]: its faults, and what happened at the mines."""
    days = range(start // DAY_MS, -(-end // DAY_MS))
    found: list[WireFault] = [fault for member in members for day in days for fault in member.plans.day(day)]
    faults = sorted((f for f in found if f.start < end and f.end > start), key=lambda fault: (fault.start, fault.mn))
    events = truth(registry, sites, seed, start, end, ()).events
    return WireTruth(seed=seed, registry=registry.digest, start=start, end=end, faults=tuple(faults), events=events)
