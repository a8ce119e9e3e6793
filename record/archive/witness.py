"""What is shown to witnesses outside, and the receipts that they give: proof that a state of the tree was there at an instant."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

import msgspec
import rfc3161_client
import sqlalchemy as sa
from cryptography import x509

from greenmine.record import schema
from greenmine.record.archive.chain import Chain, TreeHead
from greenmine.record.archive.signing import PublicKey, SigningKey

FORM: Final = "greenmine-statement-1"
_MOST: Final = 500
"""Receipts of a witness that a bundle carries: the first, the last, and others between them."""

Kind = Literal["rfc3161", "greenmine"]


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """State of what an installation holds of a site; nothing of its content can be told from it."""

    form: str
    site: str
    tree: TreeHead
    entries: int
    """Length of the chain of sealed days."""
    last: str
    """SHA-256 of the last entry's file, in hexadecimal; empty for none."""
    registry: str
    """Of the site's registry and its catalogues: `greenmine.evidence.site_registry.registry_digest`; hexadecimal."""


class SignedStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement with the signature of the installation."""

    statement: str
    """JSON of `Statement`; these bytes are signed, and stamped."""
    signature: str
    """Ed25519, base64."""
    key: str
    """Public key of the installation, 32 bytes in base64."""


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a witness gave for a statement."""

    witness: str
    kind: Kind
    signed: SignedStatement
    made: int
    """When, by the witness's clock [ms UTC]; of a time-stamp authority, as its token tells it."""
    token: str
    """Reply of the time-stamp authority (RFC 3161, DER), or signature of the other installation; base64."""
    key: str = ""
    """Public key of the other installation, 32 bytes in base64."""


@dataclass(frozen=True, slots=True)
class KeptStatement:
    """A statement that who checks has kept, and so needs no token; only its own clock says of when it is."""

    witness: str
    """File that held it."""
    signed: SignedStatement


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Witnesses that whoever checks trusts."""

    keys: frozenset[str] = frozenset()
    """Fingerprints of other installations."""
    certificates: tuple[bytes, ...] = ()
    """Roots of time-stamp authorities (PEM)."""

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Witnesses:
        """From PEM files: a public key, or certificates.

        Raises
        ------
        ValueError, OSError
            If a file is neither, or cannot be read.
        """
        keys, certificates = set(), []
        for path in paths:
            if b"BEGIN CERTIFICATE" in path.read_bytes():
                x509.load_pem_x509_certificates(path.read_bytes())
                certificates.append(path.read_bytes())
            else:
                keys.add(PublicKey.read(path).fingerprint)
        return cls(frozenset(keys), tuple(certificates))


def stated(engine: sa.Engine, chain: Chain, key: SigningKey, registry: str) -> SignedStatement | None:
    """What is to be shown to witnesses now, with the digest of the site's registry; None before the first turn of the tree."""
    table = schema.tree_root.c
    with engine.connect() as connection:
        row = connection.execute(
            sa.select(table.size, table.root, table.made)
            .where(table.site == chain.site)
            .order_by(table.size.desc(), table.made.desc())
            .limit(1)
        ).first()
    if row is None:
        return None
    numbers = chain.numbers()
    last = hashlib.sha256(chain.content(numbers[-1])).hexdigest() if numbers else ""
    head = TreeHead(size=row.size, root=row.root, made=row.made)
    statement = Statement(FORM, chain.site, head, len(numbers), last, registry)
    return signed_statement(statement, key)


def signed_statement(statement: Statement, key: SigningKey) -> SignedStatement:
    """A statement with the signature of a key."""
    raw = msgspec.json.encode(statement, order="deterministic")
    return SignedStatement(
        raw.decode(), base64.b64encode(key.sign(raw)).decode(), base64.b64encode(key.public.raw).decode()
    )


def statement_of(signed: SignedStatement) -> tuple[Statement, PublicKey]:
    """What an installation stated, and its key.

    Raises
    ------
    ValueError
        If it is no statement, or the signature is not that of the key.
    """
    try:
        statement = msgspec.json.decode(signed.statement, type=Statement)
        key = PublicKey(_decoded(signed.key, 32))
    except msgspec.MsgspecError as error:
        raise ValueError(f"is no statement: {error}") from error
    if statement.form != FORM:
        raise ValueError(f"has the form {statement.form!r}; this version knows {FORM!r}")
    if not key.verifies(_decoded(signed.signature, 64), signed.statement.encode()):
        raise ValueError("is not signed with the key that it names")
    return statement, key


def countersigned(signed: SignedStatement, name: str, key: SigningKey, now: int) -> Receipt:
    """The receipt of this installation for the statement of another."""
    token = base64.b64encode(key.sign(_countersigned(signed, now))).decode()
    return Receipt(name, "greenmine", signed, now, token, base64.b64encode(key.public.raw).decode())


def check(receipt: Receipt | KeptStatement, trusted: Witnesses) -> tuple[Statement, PublicKey, int, bool]:
    """What a receipt proves.

    Returns
    -------
    tuple
        The statement, the key that signed it, when the witness saw it [ms UTC], and whether the witness is a trusted one.

    Raises
    ------
    ValueError
        If it proves nothing: the statement, its signature or the token are not what they should be.
    """
    statement, key = statement_of(receipt.signed)
    if isinstance(receipt, KeptStatement):
        return statement, key, statement.tree.made, True
    if receipt.kind == "greenmine":
        witness = PublicKey(_decoded(receipt.key, 32))
        if witness == key:
            raise ValueError("is countersigned by the installation itself")
        if not witness.verifies(_decoded(receipt.token, 64), _countersigned(receipt.signed, receipt.made)):
            raise ValueError("is not countersigned with the key that it names")
        return statement, key, receipt.made, witness.fingerprint in trusted.keys
    made, genuine = stamped(_decoded(receipt.token), receipt.signed.statement.encode(), trusted.certificates)
    return statement, key, made, genuine


def stamped(token: bytes, message: bytes, roots: Sequence[bytes]) -> tuple[int, bool]:
    """When a time-stamp authority saw a message [ms UTC], and whether its certificate leads to one of the roots.

    Raises
    ------
    ValueError
        If the token is none, or is that of another message, or names an authority of the roots that did not sign it.
    """
    try:
        reply = rfc3161_client.decode_timestamp_response(in_der_order(token))
        info = reply.tst_info
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"holds no time-stamp: {error}") from error
    if info.message_imprint.message != hashlib.sha512(message).digest():
        raise ValueError("holds the time-stamp of another statement")
    made = round(info.gen_time.timestamp() * 1000)
    named = {one for pem in roots for one in x509.load_pem_x509_certificates(pem)}
    if not named:
        return made, False
    builder = rfc3161_client.VerifierBuilder()
    for root in named:
        builder = builder.add_root_certificate(root)
    try:
        builder.build().verify_message(reply, message)
    except (rfc3161_client.VerificationError, ValueError) as error:
        if _leads_to(named, reply.signed_data.certificates):
            raise ValueError(f"holds a time-stamp that is not by the authority it names: {error}") from error
        return made, False
    return made, True


def _leads_to(roots: Collection[x509.Certificate], certificates: Iterable[bytes]) -> bool:
    """Whether any of the certificates (DER) is one of the roots, or says that one of them issued it."""
    names = {root.subject for root in roots}
    try:
        return any(names & {one.subject, one.issuer} for one in map(x509.load_der_x509_certificate, certificates))
    except ValueError:
        return False


def in_der_order(reply: bytes) -> bytes:
    """A reply of a time-stamp authority with its certificates in the order of DER.

    Some authorities write that set in an order of their own, which openssl takes and a strict decoder refuses. It is no part of
    what the authority signed (RFC 5652, 5.1). What is no such reply is left as it is.
    """
    try:
        inner, _ = _within(reply, 0)
        _, token = _within(reply, inner)  # behind the status
        content, _ = _within(reply, token)
        _, explicit = _within(reply, content)  # behind the type
        signed, _ = _within(reply, explicit)
        place, _ = _within(reply, signed)
        for _ in range(3):  # version, digest algorithms, content
            _, place = _within(reply, place)
        if reply[place] != _CERTIFICATES:
            return reply
        start, end = _within(reply, place)
        bounds = [start]
        while bounds[-1] < end:
            bounds.append(_within(reply, bounds[-1])[1])
    except IndexError:
        return reply
    if bounds[-1] != end:
        return reply
    return reply[:start] + b"".join(sorted(reply[a:b] for a, b in pairwise(bounds))) + reply[end:]


_CERTIFICATES: Final = 0xA0
"""Tag of the certificates of signed data."""


def _within(content: bytes, place: int) -> tuple[int, int]:
    """Where the content of an element of DER begins, and where it ends."""
    length, start = content[place + 1], place + 2
    if length >= 0x80:  # X.690, 8.1.3.5: the length of the length
        start += length & 0x7F
        length = int.from_bytes(content[place + 2 : start], "big")
    if start + length > len(content):
        raise IndexError
    return start, start + length


def keep(engine: sa.Engine, receipt: Receipt, *, own: bool) -> None:
    """Keep a receipt: one for this installation, or (not ``own``) one that it gave another."""
    statement, key = statement_of(receipt.signed)
    row = {
        "own": own, "key": key.fingerprint, "site": statement.site, "witness": receipt.witness, "size": statement.tree.size,
        "root": statement.tree.root, "entries": statement.entries, "made": receipt.made,
        "content": msgspec.json.encode(receipt).decode(),
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(sa.insert(schema.receipt), row)


def receipts_of(
    engine: sa.Engine, site: str, *, key: str | None = None, witness: str | None = None, last: bool = False
) -> list[Receipt]:
    """Receipts for a site, the oldest first.

    Parameters
    ----------
    engine : Engine
        Of the record.
    site : str
        Id of the site.
    key : str, optional
        Fingerprint of the installation to which they were given; None: this one, by others.
    witness : str, optional
        Only those of a witness.
    last : bool
        Only the newest.
    """
    c = schema.receipt.c
    chosen = sa.select(c.content).where(c.site == site, c.own if key is None else sa.and_(~c.own, c.key == key))
    if witness is not None:
        chosen = chosen.where(c.witness == witness)
    chosen = chosen.order_by(c.id.desc()).limit(1) if last else chosen.order_by(c.id)
    with engine.connect() as connection:
        return [msgspec.json.decode(content, type=Receipt) for content in connection.scalars(chosen)]


def contradicted(engine: sa.Engine, statement: Statement, key: PublicKey) -> bool:
    """Whether an installation showed another root at so many leaves before."""
    c = schema.receipt.c
    other = sa.select(c.id).where(
        ~c.own, c.key == key.fingerprint, c.site == statement.site, c.size == statement.tree.size,
        c.root != statement.tree.root,
    )  # fmt: skip
    with engine.connect() as connection:
        return connection.execute(other.limit(1)).first() is not None


def chosen(receipts: Sequence[Receipt], first: int) -> list[Receipt]:
    """Receipts that a bundle carries whose tree begins with a leaf: of each witness at most some hundred, evenly spread."""
    by_witness: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        if statement_of(receipt.signed)[0].tree.size >= first:
            by_witness.setdefault(receipt.witness, []).append(receipt)
    found = []
    for some in by_witness.values():
        step = max(1, -(-len(some) // _MOST))
        found += [one for place, one in enumerate(some) if place % step == 0 or place == len(some) - 1]
    return found


def statements_in(path: Path) -> dict[str, SignedStatement]:
    """What was last stated, by site; nothing if the file is not there yet."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, SignedStatement]) if path.exists() else {}


def read_receipts(paths: Collection[Path]) -> list[Receipt | KeptStatement]:
    """What witnesses hand out, and statements that who checks kept: a mail's attachment, or an answer of the page of statements.

    Raises
    ------
    ValueError, OSError
        If a file holds neither, or cannot be read.
    """
    found: list[Receipt | KeptStatement] = []
    for path in paths:
        raw = path.read_bytes()
        try:
            told = msgspec.json.decode(raw)
            if isinstance(told, dict) and "items" in told:
                told = told["items"]
            for one in told if isinstance(told, list) else [told]:
                if isinstance(one, dict) and "statement" in one:
                    found.append(KeptStatement(path.name, msgspec.convert(one, SignedStatement)))
                else:
                    found.append(msgspec.convert(one, Receipt))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"{path}: holds no receipts: {error}") from error
    return found


def _countersigned(signed: SignedStatement, now: int) -> bytes:
    return b"greenmine-receipt-1\n%d\n%s" % (now, signed.statement.encode())


def _decoded(text: str, length: int | None = None) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"holds no base64: {error}") from error
    if length is not None and len(content) != length:
        raise ValueError(f"holds {len(content)} bytes where {length} were due")
    return content
