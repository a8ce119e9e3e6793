"""TLS by the files that settings name: a file that is none is told with its setting."""

from __future__ import annotations

import ssl
from pathlib import Path


def trusting(authorities: Path | None, setting: str) -> ssl.SSLContext:
    """Make a context for connections to a server.

    Parameters
    ----------
    authorities : Path, optional
        File of the certificate authorities that are trusted (PEM); None: those of the system.
    setting : str
        Which names the file.

    Raises
    ------
    ValueError
        If the file cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:  # that of the ssl module is one
        raise _fault(setting, authorities, error) from error


def show(context: ssl.SSLContext, certificate: Path, key: Path | None, setting: str) -> None:
    """Have a context show a certificate.

    Parameters
    ----------
    context : ssl.SSLContext
        Is changed.
    certificate, key : Path
        Files (PEM); without a key it is in that of the certificate.
    setting : str
        Which names the certificate.

    Raises
    ------
    ValueError
        If a file cannot be read, or they hold no certificate and its key.
    """
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise _fault(setting, certificate if key is None else f"{certificate}, {key}", error) from error


def _fault(setting: str, file: Path | str | None, error: OSError) -> ValueError:
    what = "holds no certificate, or no key that fits" if isinstance(error, ssl.SSLError) else error.strerror
    return ValueError(f"{setting}: {file}: {what}")
