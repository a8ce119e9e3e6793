"""``greenmine notify``: tell receivers of exceedances, warnings, silent stations and low capture."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from greenmine.notify.service import NotifierError, run
from greenmine.settings import Settings


def notify(*, data: Path | None = None) -> None:
    """Tell those who subscribed of exceedances, early warnings, silent stations and low capture, until Ctrl-C.

    `greenmine run` does so by itself; this is for service managers. Subscriptions are made on the page /notifications or by the
    API; see docs/notifications.md.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    settings = Settings() if data is None else Settings(data=data)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        run(settings, stop)
    except (NotifierError, ValueError, OSError) as error:
        raise SystemExit(f"greenmine notify: {error}") from error
