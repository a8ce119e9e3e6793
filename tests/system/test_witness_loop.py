"""The archivist and its witnesses: a second installation, and a mail server; each is shown a state no more often than it is due."""

from __future__ import annotations

import email.policy
import hashlib
import json
from email import message_from_bytes
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from aiosmtpd.controller import Controller

from greenmine.cli.archive import Witnessing
from greenmine.record.archive.archive import Archive, grow
from greenmine.record.archive.signing import SigningKey
from greenmine.record.archive.witness import SignedStatement, Witnesses, check, receipts_of, statement_of, statements_in
from greenmine.record.record import migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.settings import Settings
from tests.api.serving import serving
from tests.processing.mine import HOUR, MINUTE, at, batch_of, channel, readings, record_at, registry_of
from tests.records import record_in

FIRST = at("2026-03-02T00:00")


class _Box:
    """What a mail server took."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


class _Server(Controller):
    """A mail server on any free port."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def test_a_second_installation_and_a_mailbox_see_each_state_when_it_is_due(tmp_path: Path) -> None:
    registry = registry_of(tmp_path / "registry")
    record = record_at(record_in(tmp_path / "here"), registry)
    key = SigningKey(tmp_path / "keys")
    pipeline, site = Pipeline(registry, record), registry.sites[0]
    archive = Archive(tmp_path / "archive")
    migrate(open_engine(record_in(tmp_path / "district")))
    district = SigningKey(tmp_path / "district" / "keys").public
    known = tmp_path / "known"
    known.write_text(f"{key.public.fingerprint} the mine's\n")
    box = _Box()
    mail = _Server(box, hostname="127.0.0.1", port=0)
    mail.start()
    try:
        with serving(tmp_path / "district", registry, witness_for=known) as address:
            (tmp_path / "witnesses.toml").write_text(
                f'[[witnesses]]\nid = "district"\nkind = "greenmine"\nurl = "{address}"\n'
                f'key = "{tmp_path}/district/keys/archive.pub"\n'
                '[[witnesses]]\nid = "inbox"\nkind = "mail"\nto = ["records@example.org"]\n'
            )
            settings = Settings(
                data=tmp_path / "here", registry=tmp_path / "registry", witnesses=tmp_path / "witnesses.toml",
                smtp_host="127.0.0.1", smtp_port=mail.port, smtp_tls="none", smtp_from="mines@example.org",
            )  # fmt: skip
            index = channel(registry, "mine/homes/pm10")
            sizes = []
            for turn in range(30):  # two hours and a half, five minutes a turn
                now = FIRST + turn * 5 * MINUTE
                times = np.arange(now - 5 * MINUTE, now, MINUTE)
                pipeline.commit(batch_of(registry, readings(index, times, 20.0)), now)
                grow(record.engine, site, now)
                if turn in {0, 20}:
                    witnessing = Witnessing(record.engine, registry, settings)  # at the start, and after a restart
                witnessing.turn(archive, key, now)
                told = statements_in(settings.statements)["mine"]
                sizes.append(statement_of(told)[0].tree.size)
    finally:
        mail.stop()
    assert sizes == sorted(set(sizes))  # what everybody may fetch is always the newest
    receipts = receipts_of(record.engine, "mine")
    trusted = Witnesses(frozenset({district.fingerprint}))
    assert all(check(receipt, trusted)[3] for receipt in receipts)
    kept = receipts_of(open_engine(record_in(tmp_path / "district")), "mine", key=key.public.fingerprint)
    assert [one.signed for one in kept] == [one.signed for one in receipts]
    assert [statement_of(one.signed)[0].tree.made - FIRST for one in receipts] == [0, HOUR, 2 * HOUR]
    mailed = []
    for one in box.mails:
        signed = msgspec.json.decode(next(one.iter_attachments()).get_content(), type=SignedStatement)
        assert one["Subject"].strip() == f"greenmine: {hashlib.sha256(signed.statement.encode()).hexdigest()}"
        assert statement_of(signed)[1] == key.public
        assert json.loads(signed.statement)["site"] == "mine"
        mailed.append(statement_of(signed)[0].tree.made - FIRST)
    assert mailed == [0, HOUR, 2 * HOUR]  # whatever was begun again between them
