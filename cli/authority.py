"""A private certificate authority, and the certificates it gives to an installation's own servers."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from greenmine.files import replace

AUTHORITY_DAYS: Final = 3650
"""Devices are told of the authority by hand, so it lasts for ten years."""
SERVER_DAYS: Final = 397
"""Longest that browsers take (CA/Browser Forum, Baseline Requirements 6.3.2, for certificates up to March 2026)."""

_BEFORE: Final = timedelta(hours=1)
"""A certificate is valid from a little earlier on, for clocks that are behind."""
_OWNER: Final = 0o600
_GROUP: Final = 0o640
_ALL: Final = 0o644


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of its own: who trusts its certificate trusts this installation's servers, and no others.

    Parameters
    ----------
    certificate : x509.Certificate
        For everybody.
    key : ec.EllipticCurvePrivateKey
        For nobody: who has it can pose as any server of this installation.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, name: str, now: datetime) -> Self:
        """A new one, on the curve P-256."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        certificate = (
            _builder(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def read(cls, certificate: Path, key: Path) -> Self:
        """One that was written.

        Raises
        ------
        OSError, ValueError
            A file cannot be read, or they do not belong together.
        """
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
        if not (isinstance(private, ec.EllipticCurvePrivateKey) and private.public_key() == loaded.public_key()):
            raise ValueError(f"{key} is not the key of {certificate}; put the right one back")
        return cls(loaded, private)

    def write(self, certificate: Path, key: Path) -> None:
        """Write both; the key for the owner's eyes only."""
        replace(key, _key_pem(self.key), _OWNER)
        replace(certificate, self.certificate.public_bytes(serialization.Encoding.PEM), _ALL)

    def issue(self, hosts: Sequence[str], certificate: Path, key: Path, now: datetime, *, client: bool = False) -> None:
        """Make a new key and certificate for a server, and write them; who may read the folder's group may read the key.

        Parameters
        ----------
        hosts : sequence of str
            Names and addresses by which clients reach the server, at least one.
        certificate, key : Path
            Where they go.
        now : datetime
            Begin of the validity, with zone.
        client : bool
            Whether the server also shows it where it is the one that connects.
        """
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if client else [])]
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
        last = self.certificate.not_valid_after_utc
        days = min(SERVER_DAYS, (last - now).days)
        signed = (
            _builder(subject, self.certificate.subject, own.public_key(), now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName([_name(host) for host in hosts]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        replace(key, _key_pem(own), _GROUP)
        replace(certificate, signed.public_bytes(serialization.Encoding.PEM), _ALL)


def named_hosts(certificate: Path) -> list[str]:
    """Names and addresses that a server's certificate holds for, in its order."""
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def expiry(certificate: Path) -> datetime:
    """Last instant of a certificate's validity."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc


def issued_by(certificate: Path, authority: Path) -> bool:
    """Return whether an authority, whose certificate need not be there, signed a certificate."""
    if not authority.is_file():
        return True
    try:
        x509.load_pem_x509_certificate(certificate.read_bytes()).verify_directly_issued_by(
            x509.load_pem_x509_certificate(authority.read_bytes())
        )
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _BEFORE)
        .not_valid_after(now.astimezone(UTC) + timedelta(days=days))
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
