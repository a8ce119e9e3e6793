"""Witnesses outside: who they are, and how the state of the trees reaches them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import tomllib
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import rfc3161_client
import urllib3

from greenmine.notify import mail
from greenmine.notify.failure import DeliveryError
from greenmine.record.archive.witness import Receipt, SignedStatement, Witnesses, check, in_der_order, stamped
from greenmine.settings import Settings
from greenmine.tables import Id
from greenmine.tls import trusting

_LONGEST: Final = 1 << 20
"""Longest answer of a witness [bytes]."""


class WitnessError(Exception):
    """A witness that cannot be reached, or whose answer is no receipt."""


class Witness(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Someone to whom the state of the trees is shown."""

    id: Id
    kind: Literal["rfc3161", "greenmine", "mail"]
    url: Annotated[str, msgspec.Meta(pattern=r"^(https?://\S+)?\Z")] = ""
    """Of a time-stamp authority, or of the web server of another installation."""
    certificate: str = ""
    """File of the roots of the time-stamp authority (PEM), beside the file of witnesses: answers are checked with them."""
    key: str = ""
    """File of the public key of the other installation (PEM), likewise."""
    to: tuple[str, ...] = ()
    """Addresses of a mail; whoever keeps it is the witness, and no receipt comes back."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    witnesses: list[Witness]


def load_witnesses(path: Path | None) -> list[Witness]:
    """Witnesses of an installation, from its file; none without one.

    Raises
    ------
    ValueError
        If it is not such a file, or one that it names holds no certificate or key.
    OSError
        If it cannot be read.
    """
    if path is None:
        return []
    try:
        found = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File).witnesses
    except (ValueError, msgspec.ValidationError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error
    for one in found:
        if not (one.to if one.kind == "mail" else one.url):
            raise ValueError(f"{path}: witness {one.id}: lacks {'to' if one.kind == 'mail' else 'url'}")
    if len({one.id for one in found}) < len(found):
        raise ValueError(f"{path}: names a witness twice")
    found = [
        msgspec.structs.replace(one, **{name: str(path.parent / file) for name, file in _files(one).items()})
        for one in found
    ]
    for one in found:
        try:
            Witnesses.read(Path(file) for file in _files(one).values())
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: witness {one.id}: {error}") from error
    return found


def _files(witness: Witness) -> dict[str, str]:
    """Files with which answers of a witness are checked, by the name of the field."""
    named = {"certificate": witness.certificate, "key": witness.key}
    return {name: file for name, file in named.items() if file}


def show(witness: Witness, signed: SignedStatement, settings: Settings) -> Receipt | None:
    """Show a statement to a witness.

    Returns
    -------
    Receipt or None
        What it answered, checked; None of a mail.

    Raises
    ------
    WitnessError
        If it could not be reached, or its answer proves nothing.
    """
    try:
        if witness.kind == "mail":
            _send(witness, signed, settings)
            return None
        receipt = (
            _stamp(witness, signed, settings) if witness.kind == "rfc3161" else _countersign(witness, signed, settings)
        )
        named = [Path(file) for file in _files(witness).values()]
        *_, trusted = check(receipt, Witnesses.read(named))
    except (urllib3.exceptions.HTTPError, DeliveryError, ValueError, OSError) as error:
        raise WitnessError(f"{witness.id}: {error}") from error
    if named and not trusted:
        raise WitnessError(f"{witness.id}: the answer is not by the key that the file of witnesses names")
    return receipt


def _post(witness: Witness, url: str, body: bytes, kind: str, settings: Settings) -> bytes:
    with urllib3.PoolManager(ca_certs=str(settings.notify_ca) if settings.notify_ca else None) as pool:
        answer = pool.request(
            "POST", url, body=body, headers={"Content-Type": kind}, redirect=False, retries=False, preload_content=False,
            timeout=settings.notify_timeout_seconds,
        )  # fmt: skip
        content = answer.read(_LONGEST)
    if answer.status not in {200, 201}:
        raise WitnessError(f"{witness.id}: answered {answer.status}: {content[:200].decode(errors='replace')}")
    return content


def _stamp(witness: Witness, signed: SignedStatement, settings: Settings) -> Receipt:
    message = signed.statement.encode()
    asked = (
        rfc3161_client.TimestampRequestBuilder().data(message).nonce(nonce=True).cert_request(cert_request=True).build()
    )
    token = _post(witness, witness.url, asked.as_bytes(), "application/timestamp-query", settings)
    made, _ = stamped(token, message, ())
    if rfc3161_client.decode_timestamp_response(in_der_order(token)).tst_info.nonce != asked.nonce:
        raise ValueError("answered to another request")
    return Receipt(witness.id, "rfc3161", signed, made, base64.b64encode(token).decode())


def _countersign(witness: Witness, signed: SignedStatement, settings: Settings) -> Receipt:
    url = f"{witness.url.rstrip('/')}/api/v1/witnessed"
    content = _post(witness, url, msgspec.json.encode(signed), "application/json", settings)
    try:
        receipt = msgspec.json.decode(content, type=Receipt)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"answered with no receipt: {error}") from error
    if receipt.signed != signed or receipt.kind != "greenmine":
        raise ValueError("answered with the receipt of another statement")
    return msgspec.structs.replace(receipt, witness=witness.id)


def _send(witness: Witness, signed: SignedStatement, settings: Settings) -> None:
    mail.check_mail(settings)
    if settings.smtp_host is None:
        raise ValueError("there is no mail server; set GREENMINE_SMTP_HOST")
    told = EmailMessage()
    told["From"], told["To"] = settings.smtp_from, ", ".join(witness.to)
    told["Subject"] = f"greenmine: {hashlib.sha256(signed.statement.encode()).hexdigest()}"
    told["Auto-Submitted"] = "auto-generated"
    told.set_content(
        "请保存此邮件：附件证明数据在此时刻的状态。\nKeep this mail: what is attached shows the state of the data at this time.\n"
    )
    told.add_attachment(msgspec.json.encode(signed), maintype="application", subtype="json", filename="statement.json")
    asyncio.run(mail.send(settings, trusting(settings.notify_ca, "GREENMINE_NOTIFY_CA"), told))
