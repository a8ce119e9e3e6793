"""The public key is shown and handed out; a key outside the data directory signs."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenmine.cli.key import app
from greenmine.record.archive.signing import PublicKey, SigningKey


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
    with pytest.raises(SystemExit, match="made when the first day is sealed"):
        _run("list", "--data", str(tmp_path))
