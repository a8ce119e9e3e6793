"""``greenmine device``: the devices that publish."""

from __future__ import annotations

import cyclopts

from greenmine.command import credentials

app = cyclopts.App(name="device", help="The devices that publish: their accounts at the broker.")
credentials.register(app)
