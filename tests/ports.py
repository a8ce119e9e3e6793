"""Ports for servers that a test starts and that bind them a while later."""

from __future__ import annotations

import random
import socket

_BELOW_EPHEMERAL = range(20_000, 32_000)
"""The kernel draws ports of outgoing connections, and those of ``bind(0)``, from 32,768 up: none of them can take one of
these between the moment it is found free and the moment its server binds it."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that are free now, all different, and that no outgoing connection takes."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_BELOW_EPHEMERAL, len(_BELOW_EPHEMERAL)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise AssertionError(f"fewer than {count} ports are free")


def free_port() -> int:
    """One such port."""
    return free_ports(1)[0]
