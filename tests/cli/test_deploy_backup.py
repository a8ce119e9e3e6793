from __future__ import annotations

import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from greenmine.cli.backup import backup
from greenmine.record.record import migrate, open_engine


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    engine = open_engine(folder / "record.sqlite")
    migrate(engine)
    engine.dispose()
    with closing(sqlite3.connect(folder / "record.sqlite")) as record:
        record.execute("create table pair (a integer, b integer)")
        record.execute("insert into pair values (0, 0)")
        record.commit()
    return folder


def test_a_copy_taken_while_somebody_writes_is_one_instant_and_complete_in_itself(data: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    wrote = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(data / "record.sqlite", timeout=30)) as record:
            number = 0
            while not stop.is_set():
                number += 1
                with record:
                    record.execute("update pair set a = ?", [number])
                    record.execute("update pair set b = ?", [number])
                wrote.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert wrote.wait(30)
        seen = []
        for _ in range(5):
            wrote.clear()
            backup(tmp_path / "copies", data=data)
            assert sorted(path.name for path in (tmp_path / "copies").iterdir()) == ["record.sqlite"]
            with closing(sqlite3.connect(f"file:{tmp_path}/copies/record.sqlite?mode=ro", uri=True)) as copy:
                a, b = copy.execute("select a, b from pair").fetchone()
                tables = {name for (name,) in copy.execute("select name from sqlite_master where type = 'table'")}
            assert a == b
            assert {"reading_block", "ledger", "verdict"} <= tables
            seen.append(a)
            assert wrote.wait(30), "the writer was kept waiting"
        assert seen == sorted(set(seen))
    finally:
        stop.set()
        writer.join()


def test_every_database_is_copied_for_the_owner_only(data: Path, tmp_path: Path) -> None:
    sqlite3.connect(data / "accounts.sqlite").close()
    backup(tmp_path / "copies", data=data)
    copies = sorted((tmp_path / "copies").iterdir())
    assert [path.name for path in copies] == ["accounts.sqlite", "record.sqlite"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in copies} == {0o600}


def test_keys_and_archive_are_copied_and_sealed_files_only_once(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = {
        "keys/archive.key": b"key",
        "archive/pit/2026-03-02.parquet": b"day",
        "archive/pit/chain/00000000.json": b"{}",
    }
    for name, content in contents.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)
    (data / "keys" / "archive.key").chmod(0o600)
    backup(tmp_path / "copies", data=data)
    assert "3 new files" in capsys.readouterr().out
    assert {name: (tmp_path / "copies" / name).read_bytes() for name in contents} == contents
    assert stat.S_IMODE((tmp_path / "copies" / "keys" / "archive.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "copies" / "keys").stat().st_mode) == 0o700

    (tmp_path / "copies" / "archive/pit/2026-03-02.parquet").write_bytes(b"d")  # cut off, as by a full disk
    (data / "archive" / "pit" / "2026-03-03.parquet").write_bytes(b"next")
    backup(tmp_path / "copies", data=data)
    assert "2 new files" in capsys.readouterr().out
    assert (tmp_path / "copies" / "archive/pit/2026-03-02.parquet").read_bytes() == b"day"


def test_a_damaged_database_does_not_take_the_place_of_a_sound_copy(data: Path, tmp_path: Path) -> None:
    backup(tmp_path / "copies", data=data)
    sound = (tmp_path / "copies" / "record.sqlite").read_bytes()
    with closing(sqlite3.connect(data / "record.sqlite")) as record:
        record.execute("pragma wal_checkpoint(truncate)")
    content = bytearray((data / "record.sqlite").read_bytes())
    content[4096:-4096] = b"\xff" * (len(content) - 8192)
    (data / "record.sqlite").write_bytes(content)
    with pytest.raises(SystemExit, match=r"damaged|malformed"):
        backup(tmp_path / "copies", data=data)
    assert (tmp_path / "copies" / "record.sqlite").read_bytes() == sound


def test_it_says_when_there_is_nothing_to_copy_or_no_place_for_it(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="there is no database in"):
        backup(tmp_path / "copies", data=tmp_path)
    with pytest.raises(SystemExit, match="the data directory itself"):
        backup(data, data=data)
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="greenmine backup:"):
        backup(tmp_path / "file", data=data)
