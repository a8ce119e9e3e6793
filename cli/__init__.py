"""The ``greenmine`` command: it starts all the others, and none of them knows it."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version
from importlib.util import find_spec

import cyclopts
import structlog

app = cyclopts.App(
    name="greenmine",
    help="Dust, noise and water readings from mines: judged against the legal limits, shown and proven.",
    version=version("greenmine"),
)
app.command("greenmine.cli.demo:demo")
app.command("greenmine.cli.run:run")
app.command("greenmine.cli.simulate:simulate")
app.command("greenmine.cli.replay:replay")
app.command("greenmine.cli.analyse:analyse")
app.command("greenmine.cli.judge:judge")
app.command("greenmine.cli.files:app", name="files")
app.command("greenmine.cli.registry:app", name="registry")
app.command("greenmine.cli.hj212:app", name="hj212")
app.command("greenmine.cli.archive:app", name="archive")
app.command("greenmine.cli.evidence:app", name="evidence")
app.command("greenmine.cli.key:app", name="key")
app.command("greenmine.cli.status:status")
app.command("greenmine.cli.device:app", name="device")
app.command("greenmine.cli.influx:app", name="influx")
app.command("greenmine.cli.grafana:app", name="grafana")
app.command("greenmine.cli.init:init")
app.command("greenmine.cli.backup:backup")
app.command("greenmine.cli.uplink:uplink")
app.command("greenmine.cli.user:app", name="user")
app.command("greenmine.cli.notify:notify")


def main() -> None:
    """Entry point."""
    configure_logging()
    try:
        app()
    except ImportError as error:  # of cyclopts, for a command whose module cannot be loaded
        cause = error.__cause__ or error
        if not isinstance(cause, ModuleNotFoundError) or find_spec("fastapi") is not None:
            raise
        raise SystemExit(
            f"greenmine: there is no {cause.name}: only what checks evidence is installed; all else comes with greenmine[server]"
        ) from error


def configure_logging() -> None:
    """Log JSON lines to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
