"""The operator against a witness: what was changed after the witness saw it is found; what could have been changed before is told.

Its devices do not number their messages. Its record is put into the tree every six hours,
and one witness, another installation, countersigns each state.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from greenmine.evidence.bundle import Installation, Progress, collect
from greenmine.evidence.inclusion import moment
from greenmine.evidence.site_registry import registry_digest
from greenmine.evidence.source import Source
from greenmine.evidence.verify import verify_raw
from greenmine.record import schema
from greenmine.record.archive.archive import Archive, grow, reaching, seal
from greenmine.record.archive.archive import verify as verify_chain
from greenmine.record.archive.chain import ChainError
from greenmine.record.archive.signing import SigningKey, rotate
from greenmine.record.archive.tree import kept_tree
from greenmine.record.archive.witness import (
    KeptStatement,
    Receipt,
    SignedStatement,
    Witnesses,
    countersigned,
    keep,
    signed_statement,
    stated,
    statement_of,
)
from greenmine.record.record import Record, open_engine
from greenmine.record.rows import ROW
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.reporting import Period
from tests.processing.mine import DAY, HOUR, MINUTE, at, batch_of, channel, readings, record_at, registry_of
from tests.records import copy_record, record_in

FIRST = at("2026-03-02T00:00")
PERIOD = Period("p", date(2026, 3, 4), date(2026, 3, 4))
TURN = 6 * HOUR
NOW = FIRST + 6 * DAY
DUST = "mine/homes/pm10"


def _rejection(received: int) -> dict[str, Any]:
    return {
        "received": received, "site": "mine", "device": "logger", "topic": "t", "reason": "undecodable", "detail": "",
        "readings": 1, "size": 2, "payload": b"{}",
    }  # fmt: skip


class Watched:
    """An installation whose trees one witness sees."""

    def __init__(self, folder: Path, *, witnessed: bool = True) -> None:
        self.folder = folder
        self.registry: Registry = registry_of(folder / "registry")
        self.record: Record = record_at(record_in(folder), self.registry)
        self.key = SigningKey(folder / "keys")
        self.witness = SigningKey(folder / "witness")
        self.given: list[Receipt] = []
        pipeline = Pipeline(self.registry, self.record)
        index = channel(self.registry, DUST)
        for start in range(FIRST, FIRST + 4 * DAY, TURN):
            times = np.arange(start, start + TURN, 10 * MINUTE)
            some = readings(index, times, 100.0 + (times // MINUTE) % 97)
            pipeline.commit(batch_of(self.registry, some), start + TURN)
            self.reject(start + HOUR)
            self.turn(start + TURN, witnessed=witnessed)
        list(seal(self.record.engine, self.registry.sites, Archive(folder / "archive"), self.key, NOW, DAY))
        self.turn(NOW, witnessed=witnessed)

    def reject(self, received: int) -> None:
        with self.record.transaction() as connection:
            connection.execute(sa.insert(schema.rejection), _rejection(received))

    def turn(self, now: int, *, witnessed: bool) -> None:
        site = self.registry.sites[0]
        grow(self.record.engine, site, now)
        chain = Archive(self.folder / "archive").chain(site.id)
        signed = stated(
            self.record.engine, chain, self.key, registry_digest(self.registry, self.folder / "registry", site)
        )
        if witnessed and signed is not None:
            receipt = countersigned(signed, "district", self.witness, now)
            keep(self.record.engine, receipt, own=True)
            self.given.append(receipt)


class Copy:
    """A copy of the installation, for its operator to work on."""

    def __init__(self, watched: Watched, folder: Path) -> None:
        shutil.copytree(watched.folder, folder, ignore=shutil.ignore_patterns("*.sqlite*"))
        copy_record(watched.folder, folder)
        self.watched, self.folder = watched, folder
        self.engine = open_engine(record_in(folder))
        self.key = SigningKey(folder / "keys")

    def rewrite(self, change: Callable[[np.ndarray], np.ndarray], *, after: int = 0) -> None:
        """Change the readings of blocks received at or after an instant."""
        block = schema.reading_block.c
        with self.engine.begin() as connection:
            for number, data in connection.execute(
                sa.select(block.id, block.data).where(block.received >= after)
            ).all():
                rows = change(np.frombuffer(data, ROW).copy())
                new = {"data": rows.tobytes(), "count": len(rows)} | (
                    {"hour": int(rows["time"][0]) // HOUR} if len(rows) else {}
                )
                connection.execute(sa.update(schema.reading_block).where(block.id == number).values(**new))

    def alone(self) -> None:
        """Leave all receipts out of the record."""
        with self.engine.begin() as connection:
            connection.execute(sa.delete(schema.receipt))

    def unseal(self) -> None:
        """Forget what was sealed."""
        shutil.rmtree(self.folder / "archive")
        with self.engine.begin() as connection:
            for table in (schema.archive_head, schema.sealed_day):
                connection.execute(sa.delete(table))

    def begin_again(self, now: int, step: int = 0) -> None:
        """Forget trees, chain and receipts, and make all of it again of what the record says now."""
        shutil.rmtree(self.folder / "archive")
        site = self.watched.registry.sites[0]
        with self.engine.begin() as connection:
            through = [
                (row.made, msgspec.json.decode(row.through))
                for row in connection.execute(sa.select(schema.tree_root).order_by(schema.tree_root.c.size))
            ]
            for table in (schema.tree_leaf, schema.tree_root, schema.archive_head, schema.sealed_day, schema.receipt):
                connection.execute(sa.delete(table))
            held = {
                name: (table, connection.execute(sa.select(table)).all())
                for name, table in (("block", schema.reading_block), ("rejection", schema.rejection))
            }
        for made, top in through:  # turn by turn, as it came
            with self.engine.begin() as connection:
                for name, (table, rows) in held.items():
                    connection.execute(sa.delete(table))
                    connection.execute(sa.insert(table), [row._asdict() for row in rows if row.id <= top[name]])
            grow(self.engine, site, made - step)
        list(seal(self.engine, [site], Archive(self.folder / "archive"), self.key, now, DAY))

    def told(
        self,
        given: Sequence[Receipt | KeptStatement] | None = None,
        *,
        receipts: bool = True,
        lateness: int = DAY,
        progress: Progress = lambda *_: None,
        cut: Callable[[Path], object] = lambda _: None,
    ) -> tuple[list[str], list[str]]:
        """What whoever checks is told: findings, and what cannot be excluded. Without others, the witness hands out all it gave."""
        folder = self.folder / "bundle"
        site = self.watched.registry.sites[0]
        here = Installation(
            self.engine,
            self.watched.registry,
            self.folder / "registry",
            Archive(self.folder / "archive"),
            self.key,
            lateness,
        )
        folder.mkdir()
        collect(here, site, PERIOD, folder, NOW, progress)
        cut(folder)
        source = Source(folder, PERIOD)
        trusted = Witnesses(frozenset({self.watched.witness.public.fingerprint}))
        given = given if given is not None else self.watched.given if receipts else []
        found, _, open_ = verify_raw(folder, source, self.key.ring, given, trusted)
        return [f"{one.place}: {one.what}" for one in found], open_


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    made = Watched(tmp_path_factory.mktemp("watched") / "here")
    made.record.engine.dispose()
    return made


def _halved(rows: np.ndarray) -> np.ndarray:
    rows["value"] *= 0.5
    return rows


def _thinned(rows: np.ndarray) -> np.ndarray:
    high = np.flatnonzero(rows["value"] > 150.0)
    return np.delete(rows, high[::10])


def _shifted(rows: np.ndarray) -> np.ndarray:
    rows["time"] -= HOUR
    return rows


def test_what_nobody_touched_is_whole(watched: Watched, tmp_path: Path) -> None:
    found, open_ = Copy(watched, tmp_path / "copy").told()
    assert found == []
    assert not any("no receipt from outside" in one for one in open_)
    assert any("until a witness saw it, most often within" in one for one in open_)
    assert any("do not number their messages" in one for one in open_)
    assert any("rows of ledger are in no leaf of the tree" in one for one in open_)


@pytest.mark.parametrize("change", [_halved, _thinned])
def test_readings_edited_before_sealing_are_found_in_their_leaf(
    watched: Watched, tmp_path: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    copy = Copy(watched, tmp_path / "copy")
    copy.rewrite(change)
    copy.unseal()
    found, _ = copy.told()
    assert any("are not those of the tree, put in at 2026-03-0" in one for one in found)


def test_readings_shifted_by_an_hour_before_sealing_are_in_no_leaf_of_their_day(
    watched: Watched, tmp_path: Path
) -> None:
    copy = Copy(watched, tmp_path / "copy")
    copy.rewrite(_shifted)
    copy.unseal()
    with pytest.raises(ChainError, match="rows of 2026-03-01 are in no leaf of the tree"):
        copy.told()


@pytest.mark.parametrize("change", [_halved, _thinned, _shifted])
def test_a_tree_that_was_made_again_is_contradicted_by_the_witness_with_leaves_days_and_instant(
    watched: Watched, tmp_path: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    copy = Copy(watched, tmp_path / "copy")
    copy.rewrite(change, after=FIRST + 2 * DAY + 2 * TURN)
    copy.begin_again(NOW)
    found, _ = copy.told()
    told = next(one for one in found if "was changed in leaves" in one)
    assert "of 2026-03-04 to 2026-03-04: district was shown another state" in told
    assert "certain for what had come by 2026-03-04 10:00:00 UTC" in told
    shutil.rmtree(copy.folder / "bundle")
    silent, open_ = copy.told(receipts=False)
    assert silent == []
    assert any("no receipt from outside" in one for one in open_)


def test_what_was_sealed_again_unchanged_is_another_chain_than_the_witness_was_shown(
    watched: Watched, tmp_path: Path
) -> None:
    copy = Copy(watched, tmp_path / "copy")
    copy.begin_again(NOW + HOUR)
    told, _ = copy.told()
    assert any(
        "has another chain of sealed days than district was shown; certain for what had come by" in o for o in told
    )


def test_edits_under_a_clock_that_was_wound_back_are_contradicted_by_the_witness(
    watched: Watched, tmp_path: Path
) -> None:
    copy = Copy(watched, tmp_path / "copy")
    copy.rewrite(_halved, after=FIRST + 2 * DAY + 2 * TURN)
    copy.begin_again(NOW, step=HOUR)
    found, _ = copy.told()
    assert any("district was shown another state" in one for one in found)


def test_without_a_witness_the_same_is_not_found_and_that_is_said(tmp_path: Path) -> None:
    alone = Watched(tmp_path / "alone", witnessed=False)
    alone.record.engine.dispose()
    copy = Copy(alone, tmp_path / "copy")
    copy.rewrite(_halved)
    copy.begin_again(NOW)
    found, open_ = copy.told()
    assert found == []
    assert any("no receipt from outside" in one for one in open_)


def test_a_deleted_rejection_is_found(watched: Watched, tmp_path: Path) -> None:
    copy = Copy(watched, tmp_path / "copy")
    copy.unseal()
    with copy.engine.begin() as connection:
        connection.execute(sa.delete(schema.rejection).where(schema.rejection.c.id % 7 == 0))
    found, _ = copy.told()
    assert any("are not those of the tree" in one for one in found)


@pytest.mark.parametrize(
    ("day", "found"),
    [
        ("2026-03-05", "2026-03-05, leaf 12: put in at 2026-03-04 22:00:00 UTC, is missing from the bundle"),
        ("2026-03-03", "2026-03-03, leaf 4: put in at 2026-03-02 22:00:00 UTC, is missing from the bundle"),
        (
            "2026-03-02",
            "nothing of 2026-03-02 is in the bundle: whether anything had come for these days cannot be seen",
        ),
    ],
)
def test_a_day_that_is_not_sealed_and_left_out_is_told(watched: Watched, tmp_path: Path, day: str, found: str) -> None:
    copy = Copy(watched, tmp_path / "copy")
    copy.unseal()

    def cut(folder: Path) -> None:
        (folder / f"provisional/{day}.parquet").unlink()
        others = {path.stem for path in (folder / "provisional").iterdir()}
        (folder / "tree.parquet").write_bytes(kept_tree(copy.engine, "mine", others, 1000))  # no longer than it must be

    told, open_ = copy.told(watched.given[:-1], lateness=30 * DAY, cut=cut)
    assert any(found in one for one in [*told, *open_])


def test_what_comes_while_a_bundle_is_built_is_for_another(watched: Watched, tmp_path: Path) -> None:
    copy = Copy(watched, tmp_path / "copy")
    site, chain = watched.registry.sites[0], Archive(copy.folder / "archive").chain("mine")

    def meanwhile(what: str, done: int, total: int) -> None:
        if (what, done) == ("collecting", total - 1):
            with copy.engine.begin() as connection:
                connection.execute(sa.insert(schema.rejection), _rejection(FIRST + 2 * DAY + HOUR))
            list(seal(copy.engine, [site], Archive(copy.folder / "archive"), copy.key, NOW + HOUR, DAY))
            signed = stated(
                copy.engine, chain, copy.key, registry_digest(watched.registry, copy.folder / "registry", site)
            )
            assert signed is not None
            keep(copy.engine, countersigned(signed, "district", watched.witness, NOW + HOUR), own=True)

    before = len(chain.numbers())
    told, open_ = copy.told([], progress=meanwhile)
    assert len(chain.numbers()) == before + 1
    assert told == []
    assert not any("its end was cut off" in one for one in open_)


def test_a_new_key_is_not_that_of_the_receipts(watched: Watched, tmp_path: Path) -> None:
    copy = Copy(watched, tmp_path / "copy")
    shutil.rmtree(copy.folder / "keys")
    copy.key = SigningKey(copy.folder / "keys")
    copy.begin_again(NOW)
    found, _ = copy.told()
    assert any("of the key" in one for one in found)


def test_a_clock_that_was_wound_back_is_told_by_the_witness(tmp_path: Path) -> None:
    late = Watched(tmp_path / "late", witnessed=False)
    site, chain = late.registry.sites[0], Archive(late.folder / "archive").chain("mine")
    signed = stated(late.record.engine, chain, late.key, registry_digest(late.registry, late.folder / "registry", site))
    assert signed is not None
    late.given.append(countersigned(signed, "district", late.witness, NOW - 30 * DAY))
    late.record.engine.dispose()
    found, _ = Copy(late, tmp_path / "copy").told()
    assert any("the installation's clock said" in one for one in found)


def test_a_registry_that_was_replaced_is_told_with_the_span_of_the_other(watched: Watched, tmp_path: Path) -> None:
    copy = Copy(watched, tmp_path / "copy")
    path = next((copy.folder / "registry" / "sites").glob("*.toml"))
    path.write_text(path.read_text() + "\n# edited\n")
    _, open_ = copy.told()
    assert any("the registry was edited" in one for one in open_)
    assert "no witness was shown the registry of the bundle" in open_


def _bent(receipt: Receipt, key: SigningKey, **changed: Any) -> SignedStatement:
    """The statement of a receipt with other words, signed by a key."""
    statement, _ = statement_of(receipt.signed)
    return signed_statement(msgspec.structs.replace(statement, **changed), key)


def _by_a_stranger(watched: Watched, folder: Path) -> Receipt:
    return countersigned(watched.given[-1].signed, "district", SigningKey(folder / "stranger"), NOW)


def _backdated(watched: Watched, _folder: Path) -> Receipt:
    return msgspec.structs.replace(watched.given[-1], made=NOW - 30 * DAY)


def _moved(watched: Watched, _folder: Path) -> Receipt:
    return msgspec.structs.replace(watched.given[-1], signed=watched.given[0].signed)


def _by_itself(watched: Watched, _folder: Path) -> Receipt:
    return countersigned(watched.given[-1].signed, "district", watched.key, NOW)


def _of_another_root(watched: Watched, _folder: Path) -> Receipt:
    head = statement_of(watched.given[-1].signed)[0].tree
    other = msgspec.structs.replace(head, root="ab" * 32)
    return countersigned(_bent(watched.given[-1], watched.key, tree=other), "district", watched.witness, NOW)


def _of_another_installation(watched: Watched, folder: Path) -> Receipt:
    return countersigned(_bent(watched.given[-1], SigningKey(folder / "other")), "district", watched.witness, NOW)


@pytest.mark.parametrize(
    ("forged", "found"),
    [
        (_backdated, "is not countersigned with the key that it names"),
        (_moved, "is not countersigned with the key that it names"),
        (_by_itself, "is countersigned by the installation itself"),
        (_of_another_root, "district was shown another state; certain for what had come by"),
        (_of_another_installation, "is for mine of the key"),
    ],
)
def test_a_forged_receipt_is_a_finding(
    watched: Watched, tmp_path: Path, forged: Callable[[Watched, Path], Receipt], found: str
) -> None:
    copy = Copy(watched, tmp_path / "copy")
    copy.alone()
    keep(copy.engine, forged(watched, tmp_path), own=True)
    told, open_ = copy.told([])
    assert any(found in one for one in told)
    assert any("no receipt from outside" in one for one in open_)


def test_a_witness_that_nobody_named_may_be_the_maker_itself(watched: Watched, tmp_path: Path) -> None:
    copy = Copy(watched, tmp_path / "copy")
    copy.alone()
    keep(copy.engine, _by_a_stranger(watched, tmp_path), own=True)
    told, open_ = copy.told([])
    assert told == []
    assert any(
        "no receipt of a witness that was named; those of district may be by the maker itself" in o for o in open_
    )


def test_statements_that_were_kept_contradict_as_receipts_do(watched: Watched, tmp_path: Path) -> None:
    kept = [KeptStatement("mail.json", one.signed) for one in watched.given]
    copy = Copy(watched, tmp_path / "copy")
    copy.alone()
    told, open_ = copy.told(kept)
    assert told == []
    assert any("are those of mail.json: certain from when that was received" in one for one in open_)
    shutil.rmtree(copy.folder / "bundle")
    copy.rewrite(_halved, after=FIRST + 2 * DAY + 2 * TURN)
    copy.begin_again(NOW)
    told, _ = copy.told(kept)
    assert any("mail.json was shown another state" in one for one in told)


@pytest.mark.parametrize(("ahead", "found"), [(HOUR, False), (-HOUR, True)])
def test_what_a_witness_saw_after_the_bundle_was_built_is_no_contradiction(
    watched: Watched, tmp_path: Path, ahead: int, *, found: bool
) -> None:
    head = statement_of(watched.given[-1].signed)[0].tree
    more = msgspec.structs.replace(head, size=head.size + 3, root="cd" * 32, made=NOW + ahead)
    newer = countersigned(_bent(watched.given[-1], watched.key, tree=more), "district", watched.witness, NOW + HOUR)
    elsewhere = KeptStatement("page", _bent(watched.given[-1], watched.key, site="other", registry="ef" * 32))
    told, open_ = Copy(watched, tmp_path / "copy").told([*watched.given, newer, elsewhere])
    assert [one for one in told if f"is shorter than the {head.size + 3} leaves" in one] == told
    assert bool(told) == found
    assert any("it was built before, or its end was cut off" in one for one in open_) != found
    assert not any("the registry was edited" in one for one in open_)


@pytest.mark.parametrize("size", [1, 1000])
def test_another_chain_is_a_finding_wherever_the_tree_of_a_statement_ends(
    watched: Watched, tmp_path: Path, size: int
) -> None:
    """Before the bundle's part of the tree, and behind its end, no root can be compared; the chain can."""
    copy = Copy(watched, tmp_path / "copy")
    head = msgspec.structs.replace(statement_of(watched.given[-1].signed)[0].tree, size=size, made=NOW + HOUR)
    other = _bent(watched.given[-1], watched.key, tree=head, last="ab" * 32)

    def shorten(folder: Path) -> None:
        (folder / "tree.parquet").write_bytes(kept_tree(copy.engine, "mine", {"2026-03-05"}, 1000))

    told, _ = copy.told([countersigned(other, "district", watched.witness, NOW + HOUR)], cut=shorten)
    assert any("has another chain of sealed days than district was shown" in one for one in told)


def test_leaves_that_waited_long_for_a_witness_are_named(watched: Watched, tmp_path: Path) -> None:
    copy = Copy(watched, tmp_path / "copy")
    copy.alone()
    told, open_ = copy.told([watched.given[0], watched.given[-2]])
    assert told == []
    first = f"district saw them first at {moment(watched.given[-2].made)}"
    assert any("may have been changed for" in one and first in one for one in open_)


def test_what_came_after_the_last_receipt_is_told_to_be_open(watched: Watched, tmp_path: Path) -> None:
    copy = Copy(watched, tmp_path / "copy")
    with copy.engine.begin() as connection:
        last = sa.select(sa.func.max(schema.receipt.c.size)).scalar_subquery()
        connection.execute(sa.delete(schema.receipt).where(schema.receipt.c.size >= last - 8))
    given, copy.watched.given = copy.watched.given, []
    _, open_ = copy.told()
    copy.watched.given = given
    assert any("has no receipt yet" in one for one in open_)


def test_days_sealed_by_the_key_before_stay_valid_and_none_comes_behind_those_of_the_new_one(
    watched: Watched, tmp_path: Path
) -> None:
    copy = Copy(watched, tmp_path / "copy")
    old = SigningKey(copy.folder / "keys")
    ring = rotate(copy.folder / "keys", NOW)
    new = SigningKey(copy.folder / "keys")
    site, archive = watched.registry.sites[0], Archive(copy.folder / "archive")
    with copy.engine.begin() as connection:
        connection.execute(sa.insert(schema.rejection), _rejection(NOW))
    list(seal(copy.engine, [site], archive, new, NOW + 3 * DAY, DAY))
    assert {entry.key for entry in archive.chain("mine").entries()} == set(ring.fingerprints)
    assert verify_chain(archive, "mine", ring) == []
    assert verify_chain(archive, "mine", reaching(archive.chain("mine"), ring, old.public)) == []
    assert verify_chain(archive, "mine", new.public) != []
    with copy.engine.begin() as connection:
        connection.execute(sa.insert(schema.rejection), _rejection(NOW))
    list(seal(copy.engine, [site], archive, old, NOW + 4 * DAY, DAY))  # by who has the old key
    assert any("is not signed with the key" in one.what for one in verify_chain(archive, "mine", ring))
