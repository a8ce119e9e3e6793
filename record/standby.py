"""A server of PostgreSQL and its standby, as far as somebody has to set them up: a database, who is waited for, who takes over."""

from __future__ import annotations

import psycopg

from greenmine.places import RecordServer
from greenmine.record.postgresql import connect


def answers(server: RecordServer) -> bool:
    """Tell if a server lets us in."""
    try:
        connect(server, read_only=True).close()
    except psycopg.OperationalError:
        return False
    return True


def make_database(server: RecordServer, name: str) -> None:
    """Make a database that a record can be in."""
    with connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'".encode())


def wait_for_standby(server: RecordServer, name: str) -> None:
    """Let each commit wait until a standby has it on its disk."""
    with connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'".encode())
        connection.execute("SELECT pg_reload_conf()")


def promote(server: RecordServer) -> None:
    """Let a standby take the place of the server that it follows, and wait until it has."""
    with connect(server, autocommit=True) as connection:
        connection.execute("SELECT pg_promote()")
