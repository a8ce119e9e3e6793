"""``greenmine simulate``: mines without hardware, to a broker or into files."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from greenmine import times
from greenmine.cli.loggers import run_loggers
from greenmine.cli.scoring import detect
from greenmine.collector.hj212.codes import Version
from greenmine.collector.payloads.signature import Sealing, sealing
from greenmine.loading import load_registry
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.simulators.clock import DAY_MS, MINUTE_MS
from greenmine.simulators.faults import KINDS
from greenmine.simulators.loggers.faults import WIRE_KINDS
from greenmine.simulators.messages import Message, topic
from greenmine.simulators.mine import stream, truth
from greenmine.simulators.presence import presence
from greenmine.simulators.publish import Progress as Report
from greenmine.simulators.publish import connection, publish
from greenmine.simulators.recording import write_recording
from greenmine.simulators.score import score as compare
from greenmine.simulators.score import table
from greenmine.simulators.truth import Truth
from greenmine.times import local

_LABEL_EVERY = 500
_TOLERANCE = 31 * MINUTE_MS
"""How far a detection may lie beside its fault: a wrong clock puts it up to half an hour away."""


def simulate(
    *,
    site: Annotated[list[str] | None, Parameter(negative="")] = None,
    seed: int = 1,
    start: str | None = None,
    days: float = 7.0,
    live: Annotated[bool, Parameter(negative="")] = False,
    speed: float | Literal["max"] | None = None,
    faults: str | None = None,
    no_faults: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    broker: str | None = None,
    score: Annotated[bool, Parameter(negative="")] = False,
    hj212: str | None = None,
    edition: Version = 2017,
    copies: int = 1,
    keys: Path | None = None,
    sign: Path | None = None,
) -> None:
    """Simulate the mines of the registry: weather, work, dust, noise and water, with faults whose truth is known.

    Messages go to the MQTT broker with QoS 1, or into files. The same seed, registry and start give the same data.

    Parameters
    ----------
    site
        Only this site; may be given several times. Default: all.
    seed
        Another seed, other data.
    start
        First instant of measurement, ISO 8601 with offset, such as 2026-03-01T00:00+08:00. Default: DAYS ago; with
        --live, now.
    days
        How many days to simulate.
    live
        Go on until Ctrl-C; what lies before now is sent at once, the rest as it happens.
    speed
        Simulated seconds per second, or max. Default: max; with --live, 1.
    faults
        Only these kinds of fault, separated by commas: late, duplicate, reordered, gap, frozen, drift, clock-skew,
        unit-slip, power-loss; with --hj212: wrong-crc, cut-stream, packets, catch-up, clock-off, lost-ack, hectopascal,
        milligram. Default: all.
    no_faults
        No faults at all.
    out
        Write messages.jsonl and truth.json into this directory; nothing is sent unless --broker is given too.
    broker
        HOST:PORT of the MQTT broker. Default: that of the settings, 127.0.0.1:1883.
    score
        Send nothing: take the messages through decoder, core and a record for the time being, and print for each kind of
        fault what was caught, missed and raised falsely.
    hj212
        HOST:PORT of a platform: every device is a data logger that speaks HJ 212 to it, with the password of
        GREENMINE_HJ212_PASSWORD. With --out, only truth.json is written.
    edition
        Edition of HJ 212 that the loggers speak: 2005, 2017 or 2025.
    copies
        Loggers for each device: the same readings under different numbers.
    keys
        With --hj212: file with a line MN = KEY for each key of SM4, by which those loggers encrypt; it is read again when it
        changes.
    sign
        Ed25519 private key (PEM) with which each message is signed, as by a gateway.
    """
    settings = Settings()
    try:
        registry = load_registry(settings.registry)
        sites = _sites(registry, site)
        kinds = _kinds(faults, KINDS if hj212 is None else WIRE_KINDS, no_faults=no_faults)
        begin, end = _span(start, days, live=live)
        chosen = speed if speed is not None else 1.0 if live else "max"
        if hj212 is not None:
            if score or broker is not None or sign is not None:
                raise ValueError("--hj212 goes with none of --score, --broker and --sign; give it alone")  # noqa: TRY301
            run_loggers(registry, sites, seed, begin, end, kinds, chosen, out, hj212, edition, copies, keys)
            return
        if score:
            _score(registry, sites, seed, begin, end, kinds, settings, alone=out is None and broker is None)
            return
        run(
            registry,
            sites,
            seed,
            begin,
            end,
            kinds,
            chosen,
            out,
            broker,
            settings,
            None if sign is None else sealing(sign),
        )
    except (ValueError, OSError) as error:
        raise SystemExit(f"greenmine simulate: {error}") from error


def run(
    registry: Registry,
    sites: Collection[str],
    seed: int,
    start: int,
    end: int | None,
    faults: Collection[str],
    speed: float | Literal["max"],
    out: Path | None,
    broker: str | None,
    settings: Settings,
    sign: Sealing | None = None,
) -> Truth:
    """Simulate to the end, or until Ctrl-C where there is none.

    Returns
    -------
    Truth
        What ``greenmine.simulators.score.score`` compares detections with.
    """
    reached = start

    def followed() -> Iterator[Message]:
        nonlocal reached
        for message in stream(registry, sites, seed, start, end, faults):
            reached = message.time_sent
            yield (
                message
                if sign is None
                else msgspec.structs.replace(message, payload=sign(message.topic, message.payload))
            )

    console = Console(stderr=True)
    with ExitStack() as stack:
        messages = followed()
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            messages = stack.enter_context(closing(write_recording(out / "messages.jsonl", messages)))
        report = stack.enter_context(progress_over(start, end))
        try:
            if out is None or broker is not None:
                host, port, access = connection(settings, broker)
                topics = [topic(s, device.id, "status") for s in sites for device in registry.site(s).devices]
                since = times.now() if end is None and speed == 1.0 else None
                with presence(topics, host, port, **access):
                    done = publish(messages, host, port, speed=speed, since=since, progress=report, **access)
                console.print(f"{done.messages} messages acknowledged by {host}:{port} in {done.seconds:.1f} s")
            else:
                console.print(f"{_drain(messages, report)} messages written to {out / 'messages.jsonl'}")
        except KeyboardInterrupt:
            if end is not None:
                raise
    known = truth(registry, sites, seed, start, reached + 1 if end is None else end, faults)
    if out is not None:
        known.write(out / "truth.json")
        console.print(f"{len(known.faults)} faults and {len(known.events)} events written to {out / 'truth.json'}")
    return known


def _score(
    registry: Registry,
    sites: Collection[str],
    seed: int,
    start: int,
    end: int | None,
    faults: Collection[str],
    settings: Settings,
    *,
    alone: bool,
) -> None:
    if end is None or not alone:
        raise ValueError("--score goes with neither --live nor --out nor --broker; give it alone")
    with progress_over(start, end) as report:
        found = detect(registry, settings, stream(registry, sites, seed, start, end, faults), end, report)
    known = truth(registry, sites, seed, start, end, faults)
    Console().print(table(compare(known, found, faults, _TOLERANCE)))


@contextmanager
def progress_over(start: int, end: int | None) -> Iterator[Report]:
    """A progress bar over simulated time, where stderr is a terminal; else nothing is shown.

    Parameters
    ----------
    start, end : int, int or None
        The simulated span [ms UTC]; None: without end.

    Yields
    ------
    callable
        Takes the number of messages done, and the simulated instant reached [ms UTC].
    """
    if not sys.stderr.isatty():
        yield lambda _done, _reached: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[done]} messages"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        total = None if end is None else max(1, end - start)
        task = bar.add_task("starting", total=total, done=0)

        def report(done: int, reached: int) -> None:
            label = f"{local(max(reached, start), UTC):%Y-%m-%d %H:%M UTC}"
            bar.update(task, completed=max(0, reached - start), done=done, description=label)

        yield report


def _drain(messages: Iterator[Message], report: Report) -> int:
    count = 0
    for message in messages:
        count += 1
        if count % _LABEL_EVERY == 0:
            report(count, message.time_sent)
    return count


def _sites(registry: Registry, chosen: list[str] | None) -> list[str]:
    known = [site.id for site in registry.sites]
    for site in chosen or ():
        if site not in known:
            raise ValueError(f"the registry has no site '{site}'; it has {', '.join(known)}")
    return [site for site in known if not chosen or site in chosen]


def _kinds(faults: str | None, known: tuple[str, ...], *, no_faults: bool) -> tuple[str, ...]:
    if no_faults:
        if faults is not None:
            raise ValueError("--faults and --no-faults exclude each other; give one")
        return ()
    if faults is None:
        return known
    kinds = tuple(kind.strip() for kind in faults.split(","))
    for kind in kinds:
        if kind not in known:
            raise ValueError(f"'{kind}' is no kind of fault; {', '.join(known)} are")
    return kinds


def _span(start: str | None, days: float, *, live: bool) -> tuple[int, int | None]:
    if not 0 < days <= 3660:
        raise ValueError(f"--days {days:g} is out of range; a number above 0 and up to 3660 would be right")
    if start is None:
        begin = times.now() if live else times.now() - round(days * DAY_MS)
        begin -= begin % MINUTE_MS
    else:
        begin = _instant(start)
    return begin, None if live else begin + round(days * DAY_MS)


def _instant(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"--start '{text}' is no instant; ISO 8601 with offset such as 2026-03-01T00:00+08:00 is")
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
