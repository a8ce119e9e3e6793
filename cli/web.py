"""The web server as a process of its own."""

from __future__ import annotations

import threading

from greenmine.api.serve import serve
from greenmine.loading import load_registry
from greenmine.record.archive.signing import SigningKey
from greenmine.settings import Settings


def web(settings: Settings, _stop: threading.Event) -> None:
    """Serve the API and the pages until the process ends."""
    if settings.witness_for is not None:
        SigningKey(settings.keys)  # made before anybody asks: those for whom it signs name its public key first
    serve(settings, load_registry(settings.registry))
