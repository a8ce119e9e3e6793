"""The web server as a process of its own."""

from __future__ import annotations

import threading

from greenmine.api.serve import serve
from greenmine.loading import load_registry
from greenmine.settings import Settings


def web(settings: Settings, _stop: threading.Event) -> None:
    """Serve the API and the pages until the process ends."""
    serve(settings, load_registry(settings.registry))
