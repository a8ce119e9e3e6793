"""``greenmine demo``: the whole system with simulated mines, in one command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from greenmine import times
from greenmine.api.http.addresses import check_addresses
from greenmine.api.watching import WatchedRegistry
from greenmine.cli.boards import with_boards
from greenmine.cli.mines import SENT, STORY, stored
from greenmine.cli.processes import GRAFANA, Processes
from greenmine.cli.run import prepare
from greenmine.cli.visitors import PASSWORDS, TOKEN, Visitor, hand_over, welcome
from greenmine.collector.mqtt.broker import QUEUE_LIMIT, start_broker
from greenmine.loading import load_registry
from greenmine.registry import DEFAULT, Registry, RegistryError, Site
from greenmine.settings import OWN_REGISTRY, Settings
from greenmine.times import local

_DAY: Final = 86_400_000
_SEED: Final = 1
_LONG: Final = 14
"""A demo that was away for longer begins a new history rather than fill the gap [days]."""
_DRAIN: Final = 600.0
"""Longest time for the worker to take what was published [s]."""


def demo(
    *,
    data: Path | None = None,
    port: int | None = None,
    days: float = 7.0,
    live: Annotated[bool, Parameter(negative="--no-live")] = True,
    grafana: str | None = None,
) -> None:
    """Show everything at work: a broker, five simulated mines with a history, live data, and the pages.

    It prints who can sign in, and leaves a token for scripts in the file demo-token of its directory. Ctrl-C ends it and leaves no
    process behind. Started again on the same directory, it fills in what passed meanwhile and
    goes on.

    Parameters
    ----------
    data
        Directory of all state. Default: GREENMINE_DATA, or var.
    port
        Port of the pages on 127.0.0.1. Default: GREENMINE_PORT, or 8000.
    days
        Days of history.
    live
        Go on live and serve the pages. With --no-live the history is filled and the command ends, for scripts.
    grafana
        Address of a Grafana that the demo may fill; its dashboards of ours are replaced by those of the simulated mines, and the
        buckets of GREENMINE_INFLUX_URL take their readings. It needs GREENMINE_INFLUX_ADMIN_TOKEN and GREENMINE_GRAFANA_PASSWORD.
        Default: one of its own, where the programs grafana and influxd are installed.
    """
    given = {"data": data, "port": port}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    if not 0 < days <= 3660:
        raise SystemExit(
            f"greenmine demo: --days {days:g} is out of range; a number above 0 and up to 3660 would be right"
        )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        check_addresses(settings)
        if live:
            _check_port(settings.port)
        settings.data.mkdir(parents=True, exist_ok=True)
        if settings.registry is None:  # a copy, so that it can be changed by its pages
            shutil.copytree(DEFAULT, settings.data / OWN_REGISTRY)
            settings = settings.model_copy(update={"registry": settings.data / OWN_REGISTRY})
        registry = load_registry(settings.registry)
        with Processes() as first:
            visitors = first.once(_begin, settings)
        story = _story(settings.data / STORY, days)
        with start_broker(settings.data / "broker") as broker, Processes() as processes:
            here = settings.model_copy(
                update={
                    "broker_host": broker.host,
                    "broker_port": broker.port,
                    "broker_tls": False,
                    "broker_user": None,
                    "metrics_loopback": True,
                }
            )
            boards = with_boards(here, grafana) if live else None
            _play(here, story, processes, stop, visitors if live else [], registry, boards, own=grafana is None)
    except (RegistryError, ValueError, OSError) as error:
        raise SystemExit(f"greenmine demo: {error}") from error


def _begin(settings: Settings) -> list[Visitor]:
    """Make databases and accounts; what that takes to be loaded is never needed again."""
    prepare(settings)
    return welcome(settings, load_registry(settings.registry))


def _check_port(port: int) -> None:
    """Refuse before anything is promised a port that another program has.

    Raises
    ------
    ValueError
        Names the port and the way to another.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ValueError(
                f"port {port} of 127.0.0.1 cannot be had ({error.strerror}); --port, or PORT=8080 make demo, names another"
            ) from error


@dataclass(frozen=True, slots=True)
class Story:
    """Which simulated history a directory holds: the same start and seed always tell the same."""

    start: int
    seed: int


def _story(path: Path, days: float) -> Story:
    now = time.time_ns() // 1_000_000
    if path.exists():
        told = Story(**json.loads(path.read_text()))
        if path.stat().st_mtime * 1000 > now - _LONG * _DAY:
            os.utime(path)
            return told
    begin = now - round(days * _DAY)
    story = Story(begin - begin % 60_000, _SEED)
    path.write_text(json.dumps({"start": story.start, "seed": story.seed}))
    return story


def _play(
    settings: Settings,
    story: Story,
    processes: Processes,
    stop: threading.Event,
    visitors: list[Visitor],
    registry: Registry,
    boards: Settings | None,
    *,
    own: bool,
) -> None:
    """Go on live if there is somebody to see it, else end with the history."""
    console = Console(stderr=True)
    live = bool(visitors)
    processes.start("worker", "greenmine.cli.work:work", settings)
    if live:
        processes.start("web server", "greenmine.cli.web:web", settings)
        processes.start_aside("notifier", "greenmine.notify.service:run", settings)
        if boards is not None:
            if own:
                processes.start_aside(GRAFANA, "greenmine.cli.boards:serve", boards)
            processes.start_aside("projection", "greenmine.cli.board_contents:fill", boards)
        console.print(
            f"[bold]http://127.0.0.1:{settings.port}/sign-in[/]  (fills as the history comes in; Ctrl-C ends the demo)"
        )
        console.print(_accounts(visitors, settings), soft_wrap=True, highlight=False, markup=False)
        console.print(
            f"The demo's broker keeps {QUEUE_LIMIT // 10**6} MB for an absent worker and drops the rest, acknowledged or not; "
            "that of an installation refuses what it cannot keep (greenmine ingress)."
        )
    before, newest = stored(settings)
    until = time.time_ns() // 1_000_000
    simulator = processes.start("simulator", f"greenmine.cli.mines:{'live' if live else 'past'}", settings)
    columns = (TextColumn("history"), BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        begin = max(story.start, newest)
        task = bar.add_task("history", total=max(1, until - begin))
        sent: int | None = None
        deadline = float("inf")
        while not stop.is_set():
            processes.check(finished=() if live else ("simulator",))
            messages, newest = stored(settings)
            bar.update(task, completed=max(0, newest - begin))
            if live and newest > until - 120_000:
                bar.update(task, completed=until - begin)
                break
            if not live and sent is None and simulator.exitcode is not None:
                sent = json.loads((settings.data / SENT).read_text())["messages"]
                deadline = time.monotonic() + _DRAIN
            if sent is not None and messages >= before + sent:
                bar.update(task, completed=until - begin)
                break
            if time.monotonic() > deadline:
                raise SystemExit(f"greenmine demo: of {sent} messages sent only {messages - before} were stored")
            stop.wait(0.25)
    if live and not stop.is_set():
        processes.start_aside("builder", "greenmine.cli.builder:build_bundles", settings)
        console.print(f"History complete; live. [bold]http://127.0.0.1:{settings.port}/[/]")
        threading.Thread(target=_show_bundle, args=(settings, story, registry.sites[0], stop, console)).start()
        processes.watch(stop, WatchedRegistry(settings.registry, registry))


def _show_bundle(settings: Settings, story: Story, site: Site, stop: threading.Event, console: Console) -> None:
    """Print the link of an evaluator to a bundle of the last whole day of the history, or of what there is of the present one."""
    today = local(times.now(), site.zone).date()
    day = max(today - timedelta(days=1), local(story.start, site.zone).date())
    link = hand_over(settings, site.id, day, stop)
    if link is not None:
        console.print(f"evidence bundle of {day}, as an evaluator gets it: [bold]{link}[/]", soft_wrap=True)


def _accounts(visitors: list[Visitor], settings: Settings) -> str:
    """Who can sign in to the demo, and how: plain lines, as a table would cut passwords on a narrow screen."""
    lines = [f"{visitor.name:22}{visitor.password}  {visitor.about}" for visitor in visitors]
    files = f"also in {settings.data / PASSWORDS}; a token for scripts is in {settings.data / TOKEN}"
    return "\n".join((f"{'user':22}password", *lines, files))
