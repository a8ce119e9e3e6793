"""The ``greenmine`` command: it starts all the others, and none of them knows it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from typing import Final

import cyclopts
import structlog
from pydantic import ValidationError

_NOT_FOR_OTHERS = 0o027
"""What files of an installation are not for: writing by the group, and anything by others."""

_DATABASES: Final = ("sqlite3", "psycopg", "greenmine.errors")
"""Modules whose errors say enough to people."""
_COMMANDS: Final = {
    "demo": ("demo", "Show everything at work: five simulated mines, live data, and the pages."),
    "run": ("run", "Collect, judge and store what the broker delivers, and serve the pages."),
    "simulate": ("simulate", "Simulate the mines of the registry, with faults whose truth is known."),
    "replay": ("replay", "Send a logger's file to the broker as if a device measured it."),
    "analyse": ("analyse", "Judge loggers' files: one row of figures for each window, without any server."),
    "judge": ("judge", "Judge readings in files by the limits of a registry."),
    "files": ("app", "Show what a logger's file becomes, and which makes are known."),
    "registry": ("app", "Check and list the mines, stations and devices of an installation."),
    "hj212": ("app", "Read and write frames of HJ 212, the protocol of data loggers in China."),
    "archive": ("app", "Seal days of raw data in a signed hash chain for each site, and check them."),
    "evidence": ("app", "Build evidence bundles for a mine and a period, and check them."),
    "report": ("report", "Write the report of a mine or of the district over a period."),
    "key": ("app", "Show the public key of an installation, and hand it out."),
    "status": ("status", "Show whether the worker runs, what it has stored, and what exceeds."),
    "doctor": ("doctor", "Look for what is not as it should be."),
    "rejections": ("app", "List messages that were not taken, and have them taken in again."),
    "device": ("app", "Show what devices' messages become, and keep their accounts at the broker."),
    "influx": ("app", "Keep the projection of the record in InfluxDB, which Grafana reads."),
    "grafana": ("app", "Write dashboards, alerts and organisations of Grafana."),
    "ingress": ("ingress", "Let devices in to the broker, none faster than it can be taken in."),
    "cluster": ("app", "Make nats-servers in place of Mosquitto, and the streams that keep readings."),
    "init": ("init", "Make what an installation needs before its first start."),
    "backup": ("backup", "Copy databases, key, attached files and archive of an installation."),
    "record": ("app", "Move the record from a file of SQLite to PostgreSQL, and back."),
    "uplink": ("uplink", "Send readings and statistics to the authority's platform by HJ 212."),
    "user": ("app", "Keep accounts: who may sign in, and what they see."),
    "notify": ("notify", "Tell those who subscribed of exceedances, early warnings and silence."),
}
"""What each command is in the module of its name, and what it does, for the list of all."""


def _roof(*, listed: bool = False) -> cyclopts.App:
    """Make the command, whose parts are loaded when they are called.

    Listed, they say in one line what they do, which would stand in the place of their own help.
    """
    roof = cyclopts.App(
        name="greenmine",
        help="Dust, noise and water readings from mines: judged against the legal limits, shown and proven.",
        version=version("greenmine"),
    )
    for name, (part, summary) in _COMMANDS.items():
        roof.command(f"greenmine.cli.{name}:{part}", name=name, help=summary if listed else None)
    roof.register_install_completion_command(
        name="completion", help="Install completion by the tab key for bash, zsh or fish, whichever shell is in use."
    )
    return roof


app = _roof()


def main() -> None:
    """Entry point."""
    configure_logging()
    warnings.formatwarning = lambda message, *_: f"greenmine: {message}\n"
    os.umask(os.umask(0) | _NOT_FOR_OTHERS)
    try:
        (app if sys.argv[1:] and sys.argv[1] not in app.help_flags else _roof(listed=True))()
    except SystemExit as end:
        cause = end.__cause__ or end.__context__
        if not isinstance(end.code, str) or cause is None:
            raise
        raise SystemExit(end.code.replace(str(cause), fault_of(cause))) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except ValidationError as error:
        raise SystemExit(f"greenmine: {_faults(error)}") from None
    except OSError as error:
        if error.errno is None:
            raise
        raise SystemExit(f"greenmine: {fault_of(error)}") from None
    except Exception as error:
        if type(getattr(error, "orig", error)).__module__.startswith(_DATABASES):
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
    told = []
    for fault in error.errors():
        name, what = str(fault["loc"][0]), fault["msg"].removeprefix("Value error, ")
        secret = any(word in name for word in ("password", "record"))  # an address may hold one by mistake
        given = "" if secret else f"={_plain(str(fault['input']), 80)}"
        told.append(f"GREENMINE_{name.upper()}{given}: {_plain(what, 300)}")
    return "; ".join(told)


def _plain(text: str, longest: int) -> str:
    """A text on one line, of so many characters, and whatever cannot be seen as its code."""
    shown = text if text.isprintable() else repr(text)[1:-1]
    return shown if len(shown) <= longest else f"{shown[:longest]}…"


def fault_of(error: BaseException) -> str:
    """Say in one line what went wrong: a file without the number of the error, a database without what its library adds."""
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    cause = getattr(error, "orig", error)  # of SQLAlchemy
    if type(cause).__module__.startswith("psycopg"):
        return f"the server of the record: {str(cause).splitlines()[0]}"
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
