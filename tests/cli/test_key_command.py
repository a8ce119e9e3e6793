"""The public key is shown and handed out; a key outside the data directory signs."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import msgspec
import pytest

from greenmine.cli.key import app
from greenmine.record.archive.signing import Keyring, PublicKey, SigningKey, rotate


def _run(*tokens: str) -> None:
    app(list(tokens), result_action="return_value")


def test_the_fingerprint_is_shown_and_the_key_written_but_over_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GREENMINE_SIGNING_KEYS", str(tmp_path / "elsewhere"))
    key = SigningKey(tmp_path / "elsewhere")
    _run("list", "--data", str(tmp_path))
    assert capsys.readouterr().out.split() == [key.public.fingerprint, str(tmp_path / "elsewhere" / "archive.pub")]
    _run("export", str(tmp_path / "out.pem"), "--data", str(tmp_path))
    assert PublicKey.read(tmp_path / "out.pem") == key.public
    with pytest.raises(SystemExit, match="File exists"):
        _run("export", str(tmp_path / "out.pem"), "--data", str(tmp_path))


def test_an_installation_without_a_key_says_so(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="made when `greenmine run` first starts"):
        _run("list", "--data", str(tmp_path))


def test_a_key_that_was_replaced_stays_known_and_its_private_part_is_put_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    old = SigningKey(keys)
    _run("rotate", "--data", str(tmp_path))
    new = SigningKey(keys)
    assert new.ring.keys == (old.public, new.public)
    assert PublicKey.read(keys / "archive.pub") == new.public
    aside = keys / f"archive-{old.public.fingerprint[:16]}.key"
    assert {path.name: path.stat().st_mode & 0o777 for path in keys.glob("*.key")} == {
        "archive.key": 0o600,
        aside.name: 0o600,
    }
    capsys.readouterr()
    _run("list", "--data", str(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [new.public.fingerprint, old.public.fingerprint]
    assert "until 20" in lines[1]


def test_a_rotation_that_was_cut_short_is_finished_or_undone(tmp_path: Path) -> None:
    old = SigningKey(tmp_path)
    rotate(tmp_path, 1)
    new = SigningKey(tmp_path)
    (tmp_path / "archive.key").rename(tmp_path / "archive.key.next")  # as before its last step
    shutil.copy(tmp_path / f"archive-{old.public.fingerprint[:16]}.key", tmp_path / "archive.key")
    assert SigningKey(tmp_path).public == new.public
    shutil.copy(tmp_path / "archive.key", tmp_path / "archive.key.next")  # as before its first
    (tmp_path / "successions.json").write_text("[]\n")
    assert SigningKey(tmp_path).ring.keys == (new.public,)


def test_a_successor_that_the_key_did_not_name_is_refused(tmp_path: Path) -> None:
    SigningKey(tmp_path / "one")
    rotate(tmp_path / "one", 1)
    stranger = SigningKey(tmp_path / "two")
    named = SigningKey(tmp_path / "one").ring.successions
    with pytest.raises(ValueError, match="lead to"):
        Keyring.of(stranger.public, named)
    forged = msgspec.structs.replace(named[0], after=base64.b64encode(stranger.public.raw).decode())
    with pytest.raises(ValueError, match="not named"):
        Keyring.of(stranger.public, [forged])
