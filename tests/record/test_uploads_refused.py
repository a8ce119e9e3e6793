"""Files that were handed in and cannot be taken in are refused in words, without a path of the machine."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.contributions import Contributions
from greenmine.record.record import Record, migrate, next_serial, open_engine
from greenmine.record.uploads import UploadDesk, keep
from greenmine.record.writer import Pipeline
from greenmine.wording.sentences import chinese_sentence
from tests.records import record_in


def test_a_file_that_is_gone_or_spoiled_holds_up_no_other_and_names_no_path(tmp_path: Path) -> None:
    engine, registry = open_engine(record_in(tmp_path)), load_registry()
    migrate(engine)
    folder = tmp_path / "uploads"
    spoiled = [keep(folder, content) for content in (b"", b"PK\x03\x04 no archive", b"\x93NUMPY")]
    facts = {
        "site": "kunyin",
        "station": "boundary",
        "author": "li",
        "made": 0,
        "name": "a.csv",
        "size": 1,
        "said": "{}",
    }
    facts |= {"digest": "0" * 64, "readings": 1, "start": 0, "end": 1}
    with engine.begin() as connection:
        add = Contributions(connection, next_serial(connection))
        for content in ("f" * 64, *spoiled):
            add.hand_in(facts | {"content": content})
    desk = UploadDesk(Pipeline(registry, Record(engine, registry)), folder)
    while desk.carry_on(1):
        pass
    with engine.connect() as connection:
        rows = connection.execute(sa.select(schema.upload.c.state, schema.upload.c.answer)).all()
    engine.dispose()
    assert {row.state for row in rows} == {"refused"}
    assert [row.answer for row in rows if "/" in row.answer or chinese_sentence(row.answer) is None] == []
