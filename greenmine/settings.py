"""Settings of an installation, from the environment (``GREENMINE_...``) or a ``.env`` file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All settings, flat; each has a safe default and is described in ``docs/settings.md``."""

    model_config = SettingsConfigDict(env_prefix="GREENMINE_", env_file=".env", extra="ignore")

    data: Path = Path("var")
    """Directory under which all state of the installation lies."""
    registry: Path | None = None
    """Directory of the registry; None: the five mines that ship with the package."""

    broker_host: str = "127.0.0.1"
    broker_port: int = 1883
    broker_tls: bool = False
    """TLS with the system's certificate authorities, or with ``broker_ca``."""
    broker_ca: Path | None = None
    broker_certificate: Path | None = None
    """Client certificate, with ``broker_key``."""
    broker_key: Path | None = None
    broker_user: str | None = None
    broker_password: SecretStr | None = None
    broker_client: str = "greenmine-collector"
    """Client identifier; names the persistent session on the broker."""
    mqtt_version: str = "3.1.1"
    """3.1.1 or 5; paho is about twice as fast with 3.1.1."""

    batch_readings: int = 20_000
    """Readings at which a batch is committed without waiting for the linger."""
    batch_bytes: int = 16_000_000
    """Bytes of payload held before a commit; together with the broker's queue this bounds memory."""
    linger_ms: int = 50
    """Longest time a message waits for its commit while others keep coming."""
    idle_ms: int = 2
    """A pause in the stream this long commits at once."""
    payload_limit: int = 1_000_000
    """Largest payload that is decoded [bytes]."""
    rejection_bytes: int = 2_000
    """How much of a rejected payload is kept."""

    lateness_hours: int = 24
    """Readings may be this much older than their channel's newest and still take part in figures."""
    future_seconds: int = 300
    """Readings further ahead of the clock than this are rejected."""
    grace_seconds: int = 120
    """A window is judged when its channel has moved this far past its end."""
    silent_minutes: int = 15
    """A channel without a valid reading for this long (or three intervals, if longer) is silent."""

    host: str = "127.0.0.1"
    """Address of the web server; beyond loopback only behind a TLS proxy, see ``public_url`` and ``trusted_proxies``."""
    port: int = 8000

    public_url: str = ""
    """Addresses by which people call the web server, such as ``https://mines.example.org``; several with commas."""
    trusted_proxies: str = ""
    """Addresses or networks of the TLS proxies before it, whose X-Forwarded-For and -Proto are believed; with commas."""
    session_idle_minutes: int = Field(default=120, ge=1)
    """A session ends after so long without a request."""
    session_hours: int = Field(default=24, ge=1)
    """A session ends after so long in any case."""
    metrics_loopback: bool = False
    """Let programs on this machine read ``/metrics`` without a token."""

    attachment_bytes: int = 10_000_000
    """Largest file that may be attached to an exceedance."""

    @property
    def attachments(self) -> Path:
        """Folder of the files attached to exceedances, named by their digests."""
        return self.data / "attachments"

    @property
    def record(self) -> Path:
        """File of the record."""
        return self.data / "record.sqlite"

    @property
    def accounts(self) -> Path:
        """File of the accounts."""
        return self.data / "accounts.sqlite"
