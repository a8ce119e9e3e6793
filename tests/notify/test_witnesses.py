"""Witnesses: a real time-stamp authority (openssl), and what is no receipt."""

from __future__ import annotations

import base64
import http.server
import subprocess
import threading
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from greenmine.notify.witnesses import Witness, WitnessError, load_witnesses, show
from greenmine.record.archive.chain import TreeHead
from greenmine.record.archive.signing import SigningKey
from greenmine.record.archive.witness import (
    Receipt,
    SignedStatement,
    Statement,
    Witnesses,
    check,
    countersigned,
    in_der_order,
    signed_statement,
    statement_of,
)
from greenmine.settings import Settings

_CONFIGURATION = """
[ req ]
distinguished_name = name
[ name ]
[ root ]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[ stamping ]
extendedKeyUsage = critical, timeStamping
keyUsage = critical, digitalSignature
[ tsa ]
default_tsa = tsa_here
[ tsa_here ]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
certs = root.pem
digests = sha256, sha512
accuracy = secs:1
"""


def _openssl(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *arguments], cwd=folder, input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Authority:
    """A time-stamp authority of openssl behind a web server on the loopback."""

    def __init__(self, folder: Path, name: str = "root") -> None:
        folder.mkdir()
        self.folder, self.root = folder, folder / "root.pem"
        (folder / "tsa.conf").write_text(_CONFIGURATION)
        (folder / "serial").write_text("01\n")
        new = ("req", "-new", "-nodes", "-newkey", "rsa:2048", "-config", "tsa.conf")
        _openssl(
            folder, *new, "-x509", "-days", "30", "-subj", f"/CN={name}", "-extensions", "root", "-keyout", "root.key",
            "-out", "root.pem",
        )  # fmt: skip
        _openssl(folder, *new, "-subj", "/CN=tsa", "-keyout", "tsa.key", "-out", "tsa.csr")
        _openssl(
            folder, "x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "30",
            "-extfile", "tsa.conf", "-extensions", "stamping", "-out", "tsa.pem",
        )  # fmt: skip
        self.answer: bytes | None = None
        authority = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = self.rfile.read(int(self.headers["Content-Length"]))
                (authority.folder / "asked").write_bytes(asked)
                reply = authority.answer or _openssl(
                    authority.folder, "ts", "-reply", "-config", "tsa.conf", "-queryfile", "asked"
                )
                self.send_response(200)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    made = Authority(tmp_path_factory.mktemp("tsa") / "here")
    yield made
    made.close()


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> SignedStatement:
    statement = Statement("greenmine-statement-1", "mine", TreeHead(3, "ab" * 32, 5), 0, "", "cd" * 32)
    return signed_statement(statement, SigningKey(tmp_path_factory.mktemp("keys")))


def test_a_time_stamp_authority_gives_a_receipt_that_its_root_proves(
    authority: Authority, signed: SignedStatement
) -> None:
    witness = Witness(id="tsa", kind="rfc3161", url=authority.url, certificate=str(authority.root))
    receipt = show(witness, signed, Settings())
    assert receipt is not None
    statement, _, made, trusted = check(receipt, Witnesses.read([authority.root]))
    assert (statement.tree.size, trusted) == (3, True)
    assert made % 1000 == 0
    assert not check(receipt, Witnesses())[3]


def test_a_time_stamp_of_another_statement_or_authority_is_no_receipt(
    authority: Authority, signed: SignedStatement, tmp_path: Path
) -> None:
    witness = Witness(id="tsa", kind="rfc3161", url=authority.url)
    receipt = show(witness, signed, Settings())
    assert receipt is not None
    other = signed_statement(
        Statement("greenmine-statement-1", "mine", TreeHead(4, "ab" * 32, 5), 0, "", "cd" * 32), SigningKey(tmp_path)
    )
    moved = Receipt("tsa", "rfc3161", other, receipt.made, receipt.token)
    with pytest.raises(ValueError, match="another statement"):
        check(moved, Witnesses())
    stranger = Authority(tmp_path / "stranger", "stranger")
    assert not check(receipt, Witnesses.read([stranger.root]))[3]  # proves nothing to who knows the stranger alone
    bent = base64.b64decode(receipt.token)[:-1] + b"\0"
    forged = Receipt("tsa", "rfc3161", signed, receipt.made, base64.b64encode(bent).decode())
    with pytest.raises(ValueError, match="not by the authority it names"):
        check(forged, Witnesses.read([authority.root, stranger.root]))
    authority.answer = b"no time-stamp"
    try:
        with pytest.raises(WitnessError, match="tsa: holds no time-stamp"):
            show(witness, signed, Settings())
    finally:
        authority.answer = None
        stranger.close()


def test_certificates_in_another_order_are_taken_as_openssl_takes_them(
    authority: Authority, signed: SignedStatement
) -> None:
    witness = Witness(id="tsa", kind="rfc3161", url=authority.url, certificate=str(authority.root))
    receipt = show(witness, signed, Settings())
    assert receipt is not None
    token = base64.b64decode(receipt.token)
    certificates = [
        _openssl(authority.folder, "x509", "-in", name, "-outform", "DER") for name in ("root.pem", "tsa.pem")
    ]
    orders = [b"".join(order) for order in permutations(certificates)]
    as_sent = next(order for order in orders if order in token)
    strict, turned = (
        token.replace(as_sent, b"".join(order)) for order in (sorted(certificates), sorted(certificates)[::-1])
    )
    (authority.folder / "turned").write_bytes(turned)
    (authority.folder / "statement").write_text(signed.statement)
    _openssl(
        authority.folder, "ts", "-verify", "-in", "turned", "-data", "statement", "-CAfile", "root.pem", "-untrusted", "tsa.pem"
    )  # fmt: skip
    other = Receipt("tsa", "rfc3161", signed, receipt.made, base64.b64encode(turned).decode())
    assert check(other, Witnesses.read([authority.root]))[3]
    assert in_der_order(turned) == in_der_order(strict) == strict


def test_a_countersignature_holds_for_its_statement_and_instant_alone(signed: SignedStatement, tmp_path: Path) -> None:
    district = SigningKey(tmp_path)
    receipt = countersigned(signed, "district", district, 1_000)
    trusted = Witnesses(frozenset({district.public.fingerprint}))
    assert check(receipt, trusted)[2:] == (1_000, True)
    with pytest.raises(ValueError, match="not countersigned"):
        check(Receipt("district", "greenmine", signed, 2_000, receipt.token, receipt.key), trusted)


def test_an_installation_is_no_witness_of_itself(tmp_path: Path) -> None:
    key = SigningKey(tmp_path)
    own = signed_statement(Statement("greenmine-statement-1", "mine", TreeHead(0, "00" * 32, 5), 0, "", ""), key)
    with pytest.raises(ValueError, match="itself"):
        check(countersigned(own, "me", key, 1), Witnesses())


def test_a_statement_that_was_changed_is_not_taken(signed: SignedStatement) -> None:
    bent = SignedStatement(signed.statement.replace('"size":3', '"size":2'), signed.signature, signed.key)
    with pytest.raises(ValueError, match="not signed"):
        statement_of(bent)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[[witnesses]]\nid = 'a'\nkind = 'mail'\n", "lacks to"),
        ("[[witnesses]]\nid = 'a'\nkind = 'rfc3161'\n", "lacks url"),
        ("[[witnesses]]\nid = 'a'\nkind = 'notary'\nurl = 'http://x'\n", "notary"),
        ("nonsense", "nonsense|Expected"),
        ("[[witnesses]]\nid='a'\nkind='mail'\nto=['x@y']\n[[witnesses]]\nid='a'\nkind='mail'\nto=['x@y']\n", "twice"),
        ("[[witnesses]]\nid='a'\nkind='greenmine'\nurl='http://x'\nkey='no.pub'\n", "witness a: .*no.pub"),
    ],
)
def test_a_file_of_witnesses_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "w.toml").write_text(text)
    with pytest.raises(ValueError, match=match):
        load_witnesses(tmp_path / "w.toml")


def test_files_of_a_witness_lie_beside_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "their.pub").write_bytes(SigningKey(tmp_path / "keys").public.pem)
    told = "[[witnesses]]\nid='a'\nkind='greenmine'\nurl='http://x'\nkey='their.pub'\n"
    (tmp_path / "w.toml").write_text(told)
    assert [one.key for one in load_witnesses(tmp_path / "w.toml")] == [str(tmp_path / "their.pub")]
