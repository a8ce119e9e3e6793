"""How the databases come about: whole or not at all, by one process at a time, and never over those of another version."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from greenmine.api.accounts import accounts
from greenmine.api.accounts import schema as accounts_schema
from greenmine.errors import SchemaError
from greenmine.notify import schema as notices_schema
from greenmine.notify import store
from greenmine.record import record
from greenmine.record import schema as record_schema

_RECORD, _ACCOUNTS, _NOTICES = (
    Path(module.__file__ or "").parent / "migrations" for module in (record, accounts, store)
)

databases = pytest.mark.parametrize(
    ("scripts", "schema"),
    [(_RECORD, record_schema), (_ACCOUNTS, accounts_schema), (_NOTICES, notices_schema)],
    ids=["record", "accounts", "notices"],
)

_KILLED = """
import os, sys
from pathlib import Path
import alembic.command
import sqlalchemy as sa
from greenmine.record.record import migrate, open_engine

folder, scripts = map(Path, sys.argv[1:])

def ended_at(number):
    engine = open_engine(folder / f"{number}.sqlite")
    left = number
    @sa.event.listens_for(engine, "after_cursor_execute")
    def count(connection, cursor, statement, *_):
        nonlocal left
        if not statement.startswith(("PRAGMA", "SELECT")):
            left -= 1
            if left == 0:
                os._exit(9)
    migrate(engine, scripts)
    os._exit(0)

number, status = 0, 9
while status == 9:
    number += 1
    child = os.fork()
    if not child:
        ended_at(number)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(number)
sys.exit(status)
"""

_TOGETHER = """
import os, sys
from pathlib import Path
import alembic.command
from greenmine.cli.run import prepare
from greenmine.settings import Settings

failed = 0
for number in range(5):
    settings = Settings(data=Path(sys.argv[1]) / str(number))
    wait, go = os.pipe()
    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            os.close(go)
            os.read(wait, 1)
            status = 1
            try:
                prepare(settings)
                status = 0
            finally:
                sys.excepthook(*sys.exc_info()) if status else None
                os._exit(status)
        children.append(child)
    os.close(go)
    failed += sum(os.waitpid(child, 0)[1] != 0 for child in children)
sys.exit(failed)
"""


def run(script: str, *arguments: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def tables(path: Path, scripts: Path) -> list[tuple[str, str]]:
    """Start on a database as a killed process left it; what is in it then."""
    engine = record.open_engine(path)
    record.migrate(engine, scripts)
    engine.dispose()
    with sqlite3.connect(path) as connection:
        version = {"record": "0.1.13", "notify": "0.1.2", "accounts": "0.2"}.get(scripts.parent.name, "0.1")
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(version,)]
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


@databases
def test_the_migrations_lead_to_the_tables_of_the_schema_however_often(
    tmp_path: Path, scripts: Path, schema: ModuleType
) -> None:
    engine = record.open_engine(tmp_path / "some.sqlite")
    for _ in range(2):
        record.migrate(engine, scripts)
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


@databases
def test_a_first_start_killed_at_any_statement_is_begun_again(
    tmp_path: Path, scripts: Path, schema: ModuleType
) -> None:
    statements = int(run(_KILLED, tmp_path, scripts))
    assert statements > len(schema.metadata.tables)
    whole = tables(tmp_path / f"{statements}.sqlite", scripts)
    assert all(tables(tmp_path / f"{number}.sqlite", scripts) == whole for number in range(1, statements))


def test_processes_that_start_at_once_make_the_databases_once(tmp_path: Path) -> None:
    run(_TOGETHER, tmp_path)


@pytest.mark.parametrize("left", ["CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('0012')",
    "CREATE TABLE alembic_version (version_num); CREATE TABLE channel (id)"], ids=["older", "half made"])  # fmt: skip
@pytest.mark.parametrize("scripts", [_RECORD, _ACCOUNTS, _NOTICES], ids=["record", "accounts", "notices"])
def test_a_database_of_another_version_is_refused_in_one_line_and_stays_as_it_is(
    tmp_path: Path, scripts: Path, left: str
) -> None:
    path = tmp_path / "some.sqlite"
    with sqlite3.connect(path) as made:
        made.executescript(left)
    engine = record.open_engine(path)
    with pytest.raises(SchemaError) as refused:
        record.migrate(engine, scripts)
    assert str(refused.value) == (
        f"{path} was made by another version of greenmine and is left as it is; to begin again, move {tmp_path} away, "
        "or name another directory with --data or GREENMINE_DATA"
    )
    engine.dispose()
    with sqlite3.connect(path) as kept:
        assert len(kept.execute("SELECT name FROM sqlite_master").fetchall()) == left.count("CREATE")


@pytest.mark.parametrize(
    ("command", "file"), [("run", "record.sqlite"), ("run", "accounts.sqlite"), ("demo", "notices.sqlite")]
)
def test_a_command_says_in_one_line_how_to_begin_again(tmp_path: Path, command: str, file: str) -> None:
    with sqlite3.connect(tmp_path / file) as made:
        made.executescript("CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('0003')")
    done = subprocess.run(
        [sys.executable, "-m", "greenmine", command, "--data", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"greenmine {command}: {tmp_path / file} was made by another version of greenmine")


def test_the_sums_of_a_ledger_are_made_of_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "record.sqlite"
    tables(path, _RECORD)
    days = [("kunyin", f"device-{n}", f"2026-0{n}-01", n, 10 * n) for n in (1, 2, 3)] + [
        ("jiuchi", "one", "2026-01-01", 7, 9)
    ]
    with sqlite3.connect(path) as older:
        older.executescript(
            "DROP TABLE member; DROP TABLE site_partition; DROP TABLE ledger_total; DROP INDEX ix_ledger_day_site;"
            "UPDATE alembic_version SET version_num = '0.1.11'"
        )
        older.executemany(
            "INSERT INTO ledger (site, device, day, messages, received, stored, duplicate, conflict, rejected, late, reordered, "
            "sequence_missing, latency_sum) VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 1, 0)", days,
        )  # fmt: skip
    tables(path, _RECORD)
    with sqlite3.connect(path) as migrated:
        found = migrated.execute("SELECT site, messages, received, sequence_missing FROM ledger_total ORDER BY site")
        assert found.fetchall() == [("jiuchi", 7, 9, 1), ("kunyin", 6, 60, 3)]
