"""A district's installation is the witness of another: it countersigns, keeps, and refuses what contradicts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import requests

from greenmine.notify.witnesses import Witness, WitnessError, show
from greenmine.record.archive.chain import TreeHead
from greenmine.record.archive.signing import SigningKey
from greenmine.record.archive.witness import (
    SignedStatement,
    Statement,
    Witnesses,
    check,
    read_receipts,
    signed_statement,
)
from greenmine.record.record import migrate, open_engine
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.api.serving import serving
from tests.records import record_in, record_variables


def _state(key: SigningKey, root: str) -> SignedStatement:
    return signed_statement(Statement("greenmine-statement-1", "kunyin", TreeHead(7, root, 1), 0, "", ""), key)


def test_what_another_installation_states_is_countersigned_kept_and_handed_out(
    tmp_path: Path, registry: Registry
) -> None:
    mine, stranger = SigningKey(tmp_path / "mine"), SigningKey(tmp_path / "stranger")
    data = tmp_path / "district"
    migrate(open_engine(record_in(data)))
    known = tmp_path / "known"
    known.write_text(f"{mine.public.fingerprint} the mine's\n")
    district = SigningKey(data / "keys")
    with serving(data, registry, witness_for=known) as address:
        witness = Witness(id="district", kind="greenmine", url=address, key=str(data / "keys/archive.pub"))
        receipt = show(witness, _state(mine, "ab" * 32), Settings())
        assert receipt is not None
        assert check(receipt, Witnesses(frozenset({district.public.fingerprint})))[3]
        with pytest.raises(WitnessError, match="409"):
            show(witness, _state(mine, "cd" * 32), Settings())
        with pytest.raises(WitnessError, match="403"):
            show(witness, _state(stranger, "ab" * 32), Settings())
        bent = msgspec.structs.replace(_state(mine, "ab" * 32), signature=_state(mine, "cd" * 32).signature)
        with pytest.raises(WitnessError, match="400"):
            show(witness, bent, Settings())
        assert requests.get(f"{address}/api/v1/public/statements", timeout=20).json()["items"] == []
    done = subprocess.run(
        [sys.executable, "-m", "greenmine", "archive", "receipts", "--site", "kunyin", "--key", mine.public.fingerprint,
         "--out", str(tmp_path / "r.json"), "--data", str(data)],
        capture_output=True, text=True, check=False, env=os.environ | record_variables(data),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    roots = [msgspec.json.decode(r.signed.statement)["tree"]["root"] for r in read_receipts([tmp_path / "r.json"])]
    assert roots == ["ab" * 32, "cd" * 32]
