"""`python -m bench [SUBJECT ...]`: measure, print a table, and say which targets are missed."""

from __future__ import annotations

import argparse
import logging
import platform
import sys
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from pathlib import Path

import psutil
import structlog
from rich.console import Console
from rich.table import Table

from bench import (
    api,
    causes,
    chaos,
    collector,
    core,
    edges,
    effect,
    evidence,
    exports,
    files,
    flood,
    grafana,
    growth,
    hj212,
    judged_truth,
    latency,
    live,
    loggers,
    memory,
    projection,
    province,
    record,
    tamper,
    truth,
    visits,
)  # fmt: skip
from bench.table import Row


def main() -> int:
    """Run the benchmarks; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Ratios against references of the same run.")
    subjects = (
        "collector", "latency", "core", "memory", "growth", "evidence", "hj212", "loggers", "projection", "api", "live", "effect",
        "files", "truth", "record", "restart", "steady", "mark", "disk", "pages", "demo",
    )  # fmt: skip
    when_named = ("chaos", "edges", "exports", "flood", "grafana", "tamper")
    everything = ", ".join((*subjects, *when_named))
    parser.add_argument("subject", nargs="*", help=f"of {everything}; all but {', '.join(when_named)} if not given")
    parser.add_argument("--hours", type=float, default=24.0, help="span of the core's data [h], at least 2; default 24")
    parser.add_argument("--points", type=int, default=grafana.POINTS, help="of grafana's year; default 50,000,000")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="share of the stated size of restart, steady, mark, disk and pages; default 1",
    )
    parser.add_argument("--kept", type=Path, help="folder in which restart keeps its records, to use them again")
    parser.add_argument("--minutes", type=float, default=chaos.MINUTES, help="of chaos; default 15")
    arguments = parser.parse_args()
    if unknown := set(arguments.subject) - {*subjects, *when_named}:
        parser.error(f"there is no subject {', '.join(sorted(unknown))}; there are {everything}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    measures: dict[str, Callable[[], Iterable[Row]]] = {
        "chaos": partial(chaos.measure, arguments.minutes),
        "collector": collector.measure,
        "edges": edges.measure,
        "latency": latency.measure,
        "core": partial(core.measure, arguments.hours),
        "memory": memory.measure,
        "growth": growth.measure,
        "evidence": evidence.measure,
        "hj212": hj212.measure,
        "loggers": loggers.measure,
        "projection": projection.measure,
        "api": api.measure,
        "live": live.measure,
        "exports": exports.measure,
        "flood": flood.measure,
        "grafana": partial(grafana.measure, arguments.points),
        "effect": lambda: chain(effect.measure(), causes.measure()),
        "files": files.measure,
        "truth": lambda: chain(truth.measure(), judged_truth.measure()),
        "tamper": tamper.measure,
        "record": record.measure,
        "restart": partial(province.restart, arguments.scale, arguments.kept),
        "steady": partial(province.steady, arguments.scale),
        "mark": partial(province.mark, arguments.scale),
        "disk": partial(province.disk, arguments.scale),
        "pages": partial(province.pages, arguments.scale),
        "demo": visits.measure,
    }
    console = Console(width=None if sys.stdout.isatty() else 150)
    rows: list[Row] = []
    try:
        for subject in (*subjects, *when_named):
            if subject in arguments.subject or (not arguments.subject and subject in subjects):
                with console.status(f"measuring {subject}"):
                    rows.extend(measures[subject]())
    finally:
        console.print(_table(rows))
    console.print(f"{psutil.cpu_count()} CPUs, {platform.system()}, Python {platform.python_version()}")
    missed = [row for row in rows if row.verdict == "NO"]
    if missed:
        console.print(f"{len(missed)} targets missed")
    return 1 if missed else 0


def _table(rows: Iterable[Row]) -> Table:
    table = Table()
    for heading in ("subject", "what", "measured", "reference", "ratio", "target", "ok"):
        table.add_column(heading, justify="right" if heading in {"ratio", "target"} else "left")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        target = "" if row.target is None else f"{row.bound} {row.target:g}"
        table.add_row(row.subject, row.what, row.measured, row.reference, ratio, target, row.verdict)
    return table


if __name__ == "__main__":
    sys.exit(main())
