"""E-mail, by the installation's mail server."""

from __future__ import annotations

import ssl
from datetime import UTC
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

import aiosmtplib

from greenmine.notify.failure import DeliveryError
from greenmine.notify.outbox import Message
from greenmine.notify.subscriptions import Subscription
from greenmine.notify.targets import Mail
from greenmine.notify.wording import NoticeWords
from greenmine.settings import Settings
from greenmine.times import local


def check_mail(settings: Settings) -> None:
    """See that the settings of the mail server make sense.

    Raises
    ------
    ValueError
        The sender's address is missing, or a password would go over the net in the clear.
    """
    if settings.smtp_host is None:
        return
    if "@" not in parseaddr(settings.smtp_from)[1]:
        raise ValueError("GREENMINE_SMTP_FROM: the address that mails come from is missing")
    if (
        settings.smtp_tls == "none"
        and settings.smtp_password
        and settings.smtp_host not in {"127.0.0.1", "::1", "localhost"}
    ):
        raise ValueError(
            "GREENMINE_SMTP_TLS: with none, the password would go over the net in the clear; use starttls or tls"
        )


def mail_of(settings: Settings, subscription: Subscription, message: Message, wording: NoticeWords) -> EmailMessage:
    """The mail that tells a message; its identifier is the message's, however often it is sent."""
    target = subscription.target
    assert isinstance(target, Mail)
    mail = EmailMessage()
    sender = settings.smtp_from
    mail["From"] = sender
    mail["To"] = ", ".join(target.to)
    mail["Subject"] = wording.subject(message.events)
    mail["Date"] = format_datetime(local(message.since, UTC))
    mail["Message-ID"] = f"<{message.id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(wording.text(message.events) + "\n")
    return mail


async def send(settings: Settings, context: ssl.SSLContext, mail: EmailMessage) -> str:
    """Hand a mail to the server.

    Returns
    -------
    str
        Of which recipients it did not take it; empty: it did of all.

    Raises
    ------
    DeliveryError
        There is no server, or it took it for nobody.
    """
    if settings.smtp_host is None:
        raise DeliveryError("there is no mail server: GREENMINE_SMTP_HOST is not set")
    password = settings.smtp_password
    try:
        refused, _ = await aiosmtplib.send(
            mail,
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_user,
            password=None if password is None else password.get_secret_value(),
            use_tls=settings.smtp_tls == "tls",
            start_tls=settings.smtp_tls == "starttls",
            tls_context=None if settings.smtp_tls == "none" else context,
            timeout=settings.notify_timeout_seconds,
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        codes = sorted({refusal.code for refusal in error.recipients})
        raise DeliveryError(f"no recipient was taken: {', '.join(map(str, codes))}", refused=True) from None
    except aiosmtplib.SMTPResponseException as error:
        permanent = 500 <= error.code < 600 and not isinstance(error, aiosmtplib.SMTPAuthenticationError)
        raise DeliveryError(f"SMTP {error.code}", refused=permanent) from None
    except aiosmtplib.SMTPTimeoutError:
        raise DeliveryError("the mail server does not answer in time") from None
    except (aiosmtplib.SMTPException, OSError) as error:
        raise DeliveryError(f"the mail server: {type(error).__name__}") from None
    return f"not taken for {', '.join(sorted(refused))}" if refused else ""
