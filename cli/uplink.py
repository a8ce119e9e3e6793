"""``greenmine uplink``: readings and statistics to the authority's platform."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from greenmine.loading import load_registry
from greenmine.settings import Settings
from greenmine.uplink.plan import load_plan
from greenmine.uplink.service import UplinkError, forward


def uplink(*, data: Path | None = None, check: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Send readings and statistics to the authority's platform by HJ 212, until Ctrl-C.

    What goes where stands in the file that GREENMINE_UPLINK names; see docs/uplink.md. `greenmine run` starts this by
    itself when the setting is there; `greenmine status` shows what is not acknowledged yet.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    check
        Only check the file and show what would be sent.
    """
    settings = Settings() if data is None else Settings(data=data)
    try:
        if check:
            _show(settings)
            return
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        forward(settings, stop)
    except (UplinkError, ValueError, OSError) as error:
        raise SystemExit(f"greenmine uplink: {error}") from error


def _show(settings: Settings) -> None:
    if settings.uplink is None:
        raise UplinkError("GREENMINE_UPLINK names no plan; docs/uplink.md says how to write one")
    for route in load_plan(settings.uplink, load_registry(settings.registry)):
        sender = route.sender
        sys.stdout.write(
            f"{route.id}: {route.site} to {route.host}:{route.port}, MN={sender.mn} ST={sender.st}, "
            f"HJ 212-{sender.version}, {' '.join(route.commands)}\n"
        )
        for column in route.columns:
            sys.stdout.write(f"  {column.code} {column.channel.key}, {column.decimals} decimals\n")
