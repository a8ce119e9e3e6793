"""Attempts to follow the record: what passes is tried again, what does not is seen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from greenmine.errors import NoRecordError, StoreError
from greenmine.record.follower import Attempts
from greenmine.record.record import DatabaseError, transaction


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'record.sqlite'}", connect_args={"timeout": 0})
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE one (id INTEGER)")
    return engine


def test_what_is_locked_now_is_tried_again_after_a_pause(engine: sa.Engine) -> None:
    attempts = Attempts("test")
    with closing(sqlite3.connect(str(engine.url.database), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with attempts.attempt(), engine.connect() as connection:
            connection.exec_driver_sql("SELECT * FROM one")
        assert attempts.resting
        with attempts.attempt(), transaction(engine, "the record") as connection:
            connection.exec_driver_sql("SELECT * FROM one")
        with attempts.attempt():
            raise NoRecordError("there is no record yet")


@pytest.mark.parametrize("statement", ["SELECT * FROM two", "SELECT other FROM one", "SELECT"])
def test_what_the_database_does_not_understand_is_raised(engine: sa.Engine, statement: str) -> None:
    attempts = Attempts("test")
    with pytest.raises(DatabaseError), attempts.attempt(), engine.connect() as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(StoreError), attempts.attempt(), transaction(engine, "the record") as connection:
        connection.exec_driver_sql(statement)
    assert not attempts.resting
