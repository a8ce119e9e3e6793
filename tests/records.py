"""Where tests keep records: in files of SQLite, or by ``pytest --record=postgresql`` in databases of a server that they start."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote

import psutil
import psycopg
import pytest
import sqlalchemy as sa

from greenmine.places import Place, RecordServer
from greenmine.record.record import migrate, open_engine
from tests.ports import free_port

KINDS: Final = ("sqlite", "postgresql")
_PLACES: Final = os.pathsep.join(
    (*map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), os.environ.get("PATH", ""))
)
_ENDING: Final = "setpriv"
"""Of util-linux: lets a server end with the tests, however they end."""
_USER: Final = "postgres"
"""Whoever runs the server where the tests run as root, whom it refuses."""
chosen = {"kind": "sqlite"}


class PostgresServer:
    """A server on a folder of its own and a free port, with databases for tests; it can be killed and started again.

    Parameters
    ----------
    durable : bool
        As it is by default; without it, it does not wait for the disk.
    primary : PostgresServer, optional
        Whose standby it is: a copy of it that follows, and may be promoted.
    options : str
        Further settings, such as ``synchronous_standby_names=*``.
    """

    def __init__(self, *options: str, durable: bool = False, primary: PostgresServer | None = None) -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="greenmine-postgresql-"))
        self._folder.chmod(0o711)  # whoever runs it must get to its data
        self._data = self._folder / "data"
        self._data.mkdir(mode=0o700)
        self._log = (self._folder / "log").open("ab")
        if os.getuid() == 0:
            shutil.chown(self._data, _USER)
        lax = () if durable else ("fsync=off", "full_page_writes=off")
        self._options = (f"port={self.port}", "unix_socket_directories=", "max_connections=300", *lax, *options)
        where = ("-D", str(self._data))
        if primary is None:
            self._run(("initdb", *where, "-E", "UTF8", "--locale=C", "-A", "trust", "-U", "greenmine"))
        else:
            self._run(("pg_basebackup", *where, "-R", "-c", "fast", "-d", primary.address("postgres")))
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [word for option in self._options for word in ("-c", option)]
        program = (_ENDING, "--pdeathsig", "INT", _program("postgres"), "-D", str(self._data), *options)
        self._process = subprocess.Popen(program, stdout=self._log, stderr=self._log, **_as_other())
        while True:
            assert self._process.poll() is None, (self._folder / "log").read_text()[-2_000:]
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.address("postgres")).close()
                break
            time.sleep(0.02)

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the server's folder that it alone may read."""
        file = self._data / name
        file.write_bytes(content)
        file.chmod(0o600)
        if os.getuid() == 0:
            shutil.chown(file, _USER)

    def reset(self, *statements: str) -> None:
        """Change settings for good, and have the server read them, and its files, again."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            for statement in (*statements, "SELECT pg_reload_conf()"):
                connection.execute(statement.encode())

    def promote(self) -> None:
        """Let a standby be the one that is written, and wait until it is."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            assert connection.execute("SELECT pg_promote()").fetchone() == (True,)

    def kill(self) -> None:
        """Let the power fail: no process of it does anything more."""
        assert self._process is not None
        family = (Path("/proc") / str(self._process.pid) / "task" / str(self._process.pid) / "children").read_text()
        for pid in (self._process.pid, *map(int, family.split())):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def cpu_seconds(self) -> float:
        """CPU time of all its processes so far, of those that have ended too [s]."""
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        own = parent.cpu_times()
        children = [child.cpu_times() for child in parent.children()]
        ended = own.children_user + own.children_system
        return own.user + own.system + ended + sum(times.user + times.system for times in children)

    def address(self, database: str) -> str:
        return f"postgresql://greenmine@127.0.0.1:{self.port}/{database}"

    def database(self, name: str, *, like: str = "template0", locale: str = "C") -> RecordServer:
        """A database; made the first time, as a copy of another one."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{like}" LOCALE "{locale}" STRATEGY FILE_COPY')
        return RecordServer(self.address(quote(name)))

    def _run(self, command: tuple[str, ...]) -> None:
        program = (_program(command[0]), *command[1:])
        subprocess.run(program, stdout=self._log, stderr=self._log, check=True, **_as_other())


class PostgresPair:
    """A server that waits for the disk, as it does by default, and for its standby."""

    def __init__(self) -> None:
        self.primary = PostgresServer("wal_retrieve_retry_interval=200ms", durable=True)
        try:
            self.standby = PostgresServer("wal_retrieve_retry_interval=200ms", durable=True, primary=self.primary)
        except BaseException:
            self.primary.stop()
            raise
        self.primary.reset("ALTER SYSTEM SET synchronous_standby_names = '*'")

    def database(self, name: str) -> RecordServer:
        """A new database, on whichever of the two can be written."""
        self.primary.database(name)
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self.primary, self.standby))
        return RecordServer(f"postgresql://greenmine@{hosts}/{name}?target_session_attrs=read-write")

    def fail_over(self) -> None:
        """Let the power of the first fail for good, and the standby take its place."""
        self.primary.kill()
        self.standby.promote()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.standby.stop()
        self.primary.stop()


def _as_other() -> dict[str, Any]:
    if os.getuid() != 0:
        return {"cwd": "/"}
    user = pwd.getpwnam(_USER)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/", "umask": 0o077}


def _program(name: str) -> str:
    found = shutil.which(name, path=_PLACES)
    assert found is not None, name
    return found


def has_postgresql() -> bool:
    return shutil.which("initdb", path=_PLACES) is not None


def need_postgresql() -> None:
    """A laptop without PostgreSQL skips, continuous integration fails."""
    if not has_postgresql():
        missing = "PostgreSQL is not installed; on Debian: apt-get install postgresql"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)


@cache
def server() -> PostgresServer:
    """The server of this run of tests."""
    started = PostgresServer()

    def end(process: int = os.getpid()) -> None:
        if os.getpid() == process:
            started.stop()

    atexit.register(end)
    return started


def record_in(folder: Path) -> Place:
    """Where the record of an installation in a folder is."""
    if chosen["kind"] == "sqlite":
        return folder / "record.sqlite"
    need_postgresql()
    return server().database(_name(folder), like=_made())


def _name(folder: Path) -> str:
    return sha256(str(folder.resolve()).encode()).hexdigest()[:32]


@cache
def _made() -> str:
    """A database with the tables of a record, which is copied faster than they are made."""
    engine = open_engine(server().database("made"))
    migrate(engine)
    engine.dispose()
    return "made"


def record_setting(folder: Path) -> dict[str, Any]:
    """The settings by which processes find it."""
    place = record_in(folder)
    return {} if isinstance(place, Path) else {"record": place.address}


def record_variables(folder: Path) -> dict[str, str]:
    """The same as variables of the environment."""
    return {f"GREENMINE_{name.upper()}": str(value) for name, value in record_setting(folder).items()}


def copy_record(folder: Path, to: Path) -> None:
    """Let an installation in another folder have the same record; nobody may write it meanwhile."""
    if isinstance(record_in(folder), Path):
        to.mkdir(parents=True, exist_ok=True)
        with (
            closing(sqlite3.connect(folder / "record.sqlite")) as old,
            closing(sqlite3.connect(to / "record.sqlite")) as new,
        ):
            old.backup(new)
        return
    name = _name(folder)
    with psycopg.connect(server().address("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
    server().database(_name(to), like=name)


def refuse_rows(connection: sa.Connection, table: str) -> None:
    """Let no row be inserted any more, as where the disk is full."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            f"CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
        return
    body = "BEGIN RAISE EXCEPTION 'full'; END"
    connection.exec_driver_sql(
        f"CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS '{body.replace(chr(39), chr(39) * 2)}'"
    )
    connection.exec_driver_sql(f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} EXECUTE FUNCTION full_disk()")


def take_rows(connection: sa.Connection) -> None:
    """Let rows be inserted again."""
    full = "TRIGGER full" if connection.dialect.name == "sqlite" else "FUNCTION full_disk CASCADE"
    connection.exec_driver_sql(f"DROP {full}")
