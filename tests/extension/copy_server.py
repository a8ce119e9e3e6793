"""Web server and notifier of the source that this module is copied with: prints the address, and ends with its input."""

from __future__ import annotations

import sys
from pathlib import Path

from greenmine.loading import load_registry
from tests.api.serving import serving
from tests.notify.notify_site import notifying, settings_of

if __name__ == "__main__":
    data = Path(sys.argv[1])
    with serving(data, load_registry()) as address, notifying(settings_of(data)):
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()
        sys.stdin.read()
