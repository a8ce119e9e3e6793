"""PostgreSQL on other machines: who it shows itself to be."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenmine.cli.authority import Authority
from greenmine.cli.doctor import CHECKS
from greenmine.places import RecordServer
from greenmine.record.postgresql import state_of
from greenmine.settings import Settings
from tests.records import PostgresServer, need_postgresql


def own_address() -> str:
    """An address of this machine that is not of the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but that of the loopback interface")
        return str(probe.getsockname()[0])


@pytest.fixture(scope="module")
def abroad() -> Iterator[PostgresServer]:
    """A server that is reached by the machine's own address, as from another one."""
    need_postgresql()
    host = own_address()
    server = PostgresServer(f"listen_addresses=127.0.0.1,{host}")
    server.write("pg_hba.conf", f"host all all 127.0.0.1/32 trust\nhost all all {host}/32 trust\n".encode())
    server.reset()
    yield server
    server.stop()


class Certificates:
    """An authority, and what it issues."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.file = folder / "ca.crt"
        self._authority = Authority.make("test", datetime.now(UTC))
        self._authority.write(self.file, folder / "ca.key")

    def show(self, server: PostgresServer, host: str) -> None:
        """Let a server show a certificate for a host."""
        files = [self.file.with_name(name) for name in ("server.crt", "server.key")]
        self._authority.issue([host], *files, datetime.now(UTC))
        for file in files:
            server.write(file.name, file.read_bytes())
        server.reset("ALTER SYSTEM SET ssl = on")


def test_a_way_over_a_network_has_to_be_encrypted_and_lead_to_the_right_server(
    abroad: PostgresServer, tmp_path: Path
) -> None:
    host, right, wrong = own_address(), Certificates(tmp_path / "right"), Certificates(tmp_path / "wrong")

    def said(tls: str) -> str:
        address = f"postgresql://greenmine@{host}:{abroad.port}/postgres?{tls}"
        return "; ".join(
            finding.what for finding in CHECKS["server"](Settings(record=address)) if "disk" not in finding.what
        )

    assert not state_of(RecordServer(abroad.address("postgres"))).encrypted
    assert "is not encrypted" in said("sslmode=prefer")
    right.show(abroad, host)
    assert "whoever answers" in said("sslmode=require")
    assert said(f"sslmode=verify-full&sslrootcert={right.file}") == ""
    assert "certificate verify failed" in said(f"sslmode=verify-full&sslrootcert={wrong.file}")
    right.show(abroad, "elsewhere.example.org")
    assert "does not match host name" in said(f"sslmode=verify-full&sslrootcert={right.file}")
