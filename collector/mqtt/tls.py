"""TLS with the installation's broker: the same for all who connect to it."""

from __future__ import annotations

import ssl

from greenmine.settings import Settings
from greenmine.tls import show, trusting


def broker_tls(settings: Settings) -> ssl.SSLContext | None:
    """Make the context for a connection to the broker; None where the settings ask for no TLS.

    The system's certificate authorities are trusted, or those of ``broker_ca`` alone; ``broker_certificate`` and
    ``broker_key`` are shown where the broker asks for a client certificate.

    Raises
    ------
    ValueError
        If a file cannot be read, or holds no certificate or key.
    """
    if not settings.broker_tls:
        return None
    context = trusting(settings.broker_ca, "GREENMINE_BROKER_CA")
    if settings.broker_certificate is not None:
        show(context, settings.broker_certificate, settings.broker_key, "GREENMINE_BROKER_CERTIFICATE")
    return context
