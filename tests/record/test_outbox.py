"""The durable queue of those who follow the record, and its take-over from files of before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext

import greenmine.notify
from greenmine.notify.outbox import Outbox
from greenmine.record import outbox
from greenmine.record.outbox import Backlog, EntryRow, Policy
from greenmine.record.record import migrate, open_engine
from greenmine.uplink.outbox import UplinkCursor, UplinkOutbox, Waiting

MIGRATIONS = Path(greenmine.notify.__path__[0]) / "migrations"
OLD_UPLINK = """
CREATE TABLE feed (id VARCHAR(60) NOT NULL PRIMARY KEY, since BIGINT NOT NULL, block BIGINT NOT NULL, serial BIGINT NOT NULL,
    acknowledged BIGINT NOT NULL, last BIGINT NOT NULL, connected BOOLEAN NOT NULL, trouble TEXT NOT NULL, told BIGINT NOT NULL);
CREATE TABLE waiting (feed VARCHAR(60) NOT NULL, command VARCHAR(4) NOT NULL, start BIGINT NOT NULL, due BIGINT NOT NULL,
    changes INTEGER NOT NULL, PRIMARY KEY (feed, command, start));
CREATE INDEX ix_waiting_order ON waiting (feed, due, command, start);
INSERT INTO feed VALUES ('dust', 5, 70, 80, 9, 6, 0, 'away', 7);
INSERT INTO waiting VALUES ('dust', '2061', 3600000, 7200000, 2), ('dust', '2011', 60000, 61000, 0);
"""
OLD_NOTICES = """
INSERT INTO cursor VALUES ('record', 41);
INSERT INTO subscription (id, name, target, events, language, enabled, author, created, sent)
    VALUES (3, 'some', '{}', '[]', 'zh', 1, 'me', 0, 1), (4, 'other', '{}', '[]', 'zh', 1, 'me', 0, 0);
INSERT INTO message VALUES (1, 'first', 3, 0, 10, 'sent', 1, 0, 20, ''), (2, 'second', 3, 0, 30, 'waiting', 2, 50, NULL, 'down');
INSERT INTO notice VALUES (1, 3, 'exceedance-opened', 9, 10, 10, 0, '{}', 'first'),
    (2, 3, 'exceedance-closed', 29, 30, 30, 0, '{}', 'second'),
    (3, 4, 'test', 31, 31, 31, 0, '{}', NULL), (4, 4, 'capture-low', 32, 32, 99, 1, '{}', NULL);
"""


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    outbox.metadata.create_all(engine)
    with engine.begin() as connection:
        yield connection


def test_by_the_latest_an_entry_named_again_waits_once_and_leaves_only_in_its_newest_form(
    connection: sa.Connection,
) -> None:
    for _ in range(2):
        outbox.put(connection, [EntryRow("a", "2051/1", 5, 7), EntryRow("b", "2051/1", 5, 9)], Policy.LATEST)
    assert outbox.backlogs(connection, 8) == {"a": Backlog(waiting=1, held=1, oldest=7)}
    outbox.taken(connection, "a", "2051/1", 0)
    assert outbox.backlogs(connection)["a"].waiting == 1
    outbox.taken(connection, "a", "2051/1", 1)
    assert outbox.backlogs(connection).keys() == {"b"}


def test_of_every_entry_none_takes_the_place_of_another(connection: sa.Connection) -> None:
    outbox.put(connection, [EntryRow("a", "1", 5, 5)], Policy.EVERY)
    with pytest.raises(sa.exc.IntegrityError):
        outbox.put(connection, [EntryRow("a", "1", 6, 6)], Policy.EVERY)


def test_positions_of_followers_stand_apart(connection: sa.Connection) -> None:
    outbox.move(connection, "a", {"statistic": 3})
    outbox.move(connection, "a", {"statistic": 4})
    outbox.move(connection, "b", {"statistic": 1})
    assert outbox.positions(connection, "a") == {"statistic": 4}
    assert outbox.positions(connection, "c") is None


def test_a_file_of_the_uplink_of_before_is_taken_over_with_all_that_waits(tmp_path: Path) -> None:
    path = tmp_path / "uplink.sqlite"
    with sqlite3.connect(path) as old:
        old.executescript(OLD_UPLINK)
    for _ in range(2):
        taken = UplinkOutbox(path)
        assert taken.cursor("dust") == UplinkCursor(since=5, block=70, serial=80)
        assert taken.next("dust", 10_000_000) == Waiting("2011", 60_000, 61_000, 0)
        assert taken.next("dust", 10_000_000, {"2011"}) == Waiting("2061", 3_600_000, 7_200_000, 2)
        state = taken.states(10_000_000)[0]
        assert (state.waiting, state.oldest, state.acknowledged, state.trouble) == (2, 61_000, 9, "away")
        taken.close()


def test_notices_of_before_are_taken_over_with_all_that_waits(tmp_path: Path) -> None:
    path = tmp_path / "notices.sqlite"
    engine = open_engine(path)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0.1.1")
    with sqlite3.connect(path) as old:
        old.executescript(OLD_NOTICES)
    migrate(engine, MIGRATIONS)
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == "0.1.2"
    taken = Outbox(engine)
    assert taken.serial() == 41
    assert taken.waiting() == {3: Backlog(waiting=1, held=0, oldest=30), 4: Backlog(waiting=2, held=1, oldest=31)}
    assert [(load.waiting, load.oldest, load.dead, load.sent) for load in taken.loads()] == [(3, 30, 0, 1)]
    assert taken.due(40) == {4}
    assert taken.due(50) == {3, 4}
    engine.dispose()
