"""The ``greenmine`` command: it starts all the others, and none of them knows it."""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import version
from importlib.util import find_spec

import cyclopts
import structlog
from pydantic import ValidationError

_NOT_FOR_OTHERS = 0o027
"""What files of an installation are not for: writing by the group, and anything by others."""

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
app.command("greenmine.cli.report:report")
app.command("greenmine.cli.key:app", name="key")
app.command("greenmine.cli.status:status")
app.command("greenmine.cli.doctor:doctor")
app.command("greenmine.cli.rejections:app", name="rejections")
app.command("greenmine.cli.device:app", name="device")
app.command("greenmine.cli.influx:app", name="influx")
app.command("greenmine.cli.grafana:app", name="grafana")
app.command("greenmine.cli.init:init")
app.command("greenmine.cli.backup:backup")
app.command("greenmine.cli.uplink:uplink")
app.command("greenmine.cli.user:app", name="user")
app.command("greenmine.cli.notify:notify")
app.register_install_completion_command(
    name="completion", help="Install completion by the tab key for bash, zsh or fish, whichever shell is in use."
)


def main() -> None:
    """Entry point."""
    configure_logging()
    os.umask(os.umask(0) | _NOT_FOR_OTHERS)
    try:
        app()
    except SystemExit as end:
        cause = end.__cause__ or end.__context__
        if not isinstance(end.code, str) or cause is None:
            raise
        raise SystemExit(end.code.replace(str(cause), fault_of(cause))) from None
    except ValidationError as error:
        raise SystemExit(f"greenmine: {_faults(error)}") from None
    except OSError as error:
        if error.errno is None:
            raise
        raise SystemExit(f"greenmine: {fault_of(error)}") from None
    except Exception as error:
        if type(getattr(error, "orig", error)).__module__ == "sqlite3":
            raise SystemExit(f"greenmine: {fault_of(error)}") from None
        _explain_import(error)
        raise


def _explain_import(error: Exception) -> None:
    """End with a sentence where a command's module cannot be loaded because only a part is installed."""
    cause = error.__cause__ or error
    if isinstance(error, ImportError) and isinstance(cause, ModuleNotFoundError) and find_spec("fastapi") is None:
        raise SystemExit(
            f"greenmine: there is no {cause.name}: only what checks evidence is installed; all else comes with greenmine[server]"
        ) from error


def _faults(error: ValidationError) -> str:
    """Settings that cannot be read, by the names that people gave them."""
    if error.title != "Settings":
        raise error
    return "; ".join(
        f"GREENMINE_{str(fault['loc'][0]).upper()}={fault['input']!s:.80}: {fault['msg'].removeprefix('Value error, ')}"
        if "password" not in str(fault["loc"][0])
        else f"GREENMINE_{str(fault['loc'][0]).upper()}: {fault['msg']}"
        for fault in error.errors()
    )


def fault_of(error: BaseException) -> str:
    """Say in one line what went wrong: a file without the number of the error, a database without what its library adds."""
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    cause = getattr(error, "orig", error)  # of SQLAlchemy
    if type(cause).__module__ == "sqlite3":
        return f"a database of the installation cannot be read: {cause}; put it back from a backup, see docs/deploy.md"
    return str(error)


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
