"""Configuration of nats-server: what holds for a node, alone or in a cluster."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from greenmine.collector.mqtt.broker import MESSAGE_LIMIT

NODE: Final = Path(__file__).with_name("nats-server.conf")
"""The configuration that ships."""
OLDEST: Final = (2, 14)
"""Earlier servers lose messages between the stream of MQTT and one that sources it."""
CLIENT_PORT: Final = 4222
MQTT_PORT: Final = 8883
ROUTE_PORT: Final = 6222
MONITOR_PORT: Final = 8222


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Files that a node reads, as it sees them: its certificate and key, and the authority of them all."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True)
class ServerNode:
    """A nats-server.

    Parameters
    ----------
    name : str
        Its name, which no other node of the cluster has.
    store : Path
        Where its streams lie.
    pid : Path
        Where it writes its process's number.
    accounts : str
        File of the accounts, by its path from the folder of the configuration: nats-server knows no other way.
    host, mqtt_host : str
        Addresses at which it listens for workers, and for devices.
    port, mqtt_port, monitor : int
        Its ports for workers, for devices, and on the loopback interface for figures.
    files : ServerFiles or None
        For TLS; None: plain, on the loopback interface only.
    route : int
        Port for the other nodes.
    peers : mapping of str to str
        Name and ``host:port`` of all nodes of the cluster, itself included; empty: it is alone.
    """

    name: str
    store: Path
    pid: Path
    accounts: str = "accounts.conf"
    host: str = "127.0.0.1"
    mqtt_host: str = "127.0.0.1"
    port: int = CLIENT_PORT
    mqtt_port: int = MQTT_PORT
    monitor: int = MONITOR_PORT
    files: ServerFiles | None = None
    route: int = ROUTE_PORT
    peers: Mapping[str, str] = field(default_factory=dict)

    def configuration(self) -> str:
        """Its configuration, as nats-server reads it."""
        template = string.Template(NODE.read_text())
        return template.substitute(
            name=self.name,
            host=self.host,
            port=self.port,
            monitor=self.monitor,
            pid=self.pid,
            store=self.store,
            message=MESSAGE_LIMIT,
            pending=4 * MESSAGE_LIMIT,
            mqtt_host=self.mqtt_host,
            mqtt_port=self.mqtt_port,
            replicas=replicas(len(self.peers)),
            mqtt_tls=self._tls(verify=False),
            tls=self._tls(verify=False),
            cluster=self._cluster(),
            accounts=self.accounts,
        )

    def _tls(self, *, verify: bool) -> str:
        if self.files is None:
            return ""
        files = self.files
        checked = ", verify: true" if verify else ""
        return f'tls {{ cert_file: "{files.certificate}", key_file: "{files.key}", ca_file: "{files.authority}"{checked} }}'

    def _cluster(self) -> str:
        """Routes to the others; each shows its certificate, so that nobody else becomes a node."""
        if not self.peers:
            return ""
        routes = ", ".join(f'"nats://{place}"' for name, place in self.peers.items() if name != self.name)
        lines = ["cluster {", "    name: greenmine", f'    host: "{self.host}"', f"    port: {self.route}"]
        lines += [f"    routes: [{routes}]", *([f"    {tls}"] if (tls := self._tls(verify=True)) else []), "}"]
        return "\n".join(lines)


def replicas(nodes: int) -> int:
    """How many nodes keep each message: three where there are as many, else one."""
    return 3 if nodes >= 3 else 1
