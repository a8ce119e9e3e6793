"""TLS with the installation's broker: the same for all who connect to it."""

from __future__ import annotations

import ssl

from greenmine.settings import Settings


def broker_tls(settings: Settings) -> ssl.SSLContext | None:
    """Make the context for a connection to the broker; None where the settings ask for no TLS.

    The system's certificate authorities are trusted, or those of ``broker_ca`` alone; ``broker_certificate`` and
    ``broker_key`` are shown where the broker asks for a client certificate.

    Raises
    ------
    OSError
        If a file cannot be read, or holds no certificate or key.
    """
    if not settings.broker_tls:
        return None
    context = ssl.create_default_context(cafile=settings.broker_ca)
    if settings.broker_certificate is not None:
        context.load_cert_chain(settings.broker_certificate, settings.broker_key)
    return context
