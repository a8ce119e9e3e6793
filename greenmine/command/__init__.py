"""The ``greenmine`` command; the only place that may reach up to the other packages, to start them."""

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
app.command("greenmine.command.demo:demo")
app.command("greenmine.command.run:run")
app.command("greenmine.command.simulate:simulate")
app.command("greenmine.command.replay:replay")
app.command("greenmine.command.analyse:analyse")
app.command("greenmine.command.registry:app", name="registry")
app.command("greenmine.command.hj212:app", name="hj212")
app.command("greenmine.command.archive:app", name="archive")
app.command("greenmine.command.evidence:app", name="evidence")
app.command("greenmine.command.status:status")
app.command("greenmine.command.device:app", name="device")
app.command("greenmine.command.influx:app", name="influx")
app.command("greenmine.command.grafana:app", name="grafana")
app.command("greenmine.command.init:init")
app.command("greenmine.command.backup:backup")
app.command("greenmine.command.uplink:uplink")
app.command("greenmine.command.user:app", name="user")
app.command("greenmine.command.notify:notify")


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
