"""Settings of an installation, from the environment (``GREENMINE_...``) or a ``.env`` file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

from greenmine.budgets import Budget, Rate
from greenmine.places import Place, RecordServer

MOST_PARTITIONS: Final = 1_024
"""Into how many the mines may fall."""
OWN_REGISTRY: Final = "registry"
"""Directory under ``data`` that is the registry where no other is named."""


def web_address(text: str) -> str:
    """An address of a web server as it is.

    Raises
    ------
    ValueError
        If it is none, or not one of HTTP.
    """
    try:
        parts = urlsplit(text)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")
    except ValueError:  # an error of the encoding is one
        sound = False
    if not sound or not text.isprintable() or " " in text:
        raise ValueError("is no address such as https://example.org:8086")
    return text


def host_names(text: str) -> str:
    """Names or addresses of hosts, several with commas, as they are.

    Raises
    ------
    ValueError
        If one of them cannot be looked up: with an empty part, or one of more than 63 characters.
    """
    for name in text.split(","):
        plain = name.strip().isprintable() and " " not in name.strip()
        try:
            name.strip().encode("idna")
        except UnicodeError:
            plain = False
        if not plain:
            raise ValueError("is no name of a host such as broker.example.org")
    return text


def _no_file(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise ValueError("is a file; a directory would be right")
    return path


Hosts = Annotated[str, AfterValidator(host_names)]
"""Names or addresses of hosts."""
WebAddress = Annotated[str, AfterValidator(web_address)]
"""Address of a web server."""
Port = Annotated[int, Field(ge=0, le=65_535)]
"""Port of TCP; 0 where a server may take any free one."""
Count = Annotated[int, Field(ge=1, le=10**12)]
"""Number of things or bytes."""
Span = Annotated[int, Field(ge=0, le=10**6)]
"""Length of time in whole units, none longer than a lifetime."""
Term = Annotated[int, Field(ge=1, le=10**6)]
"""Length of time that cannot be none."""
Seconds = Annotated[float, Field(gt=0, le=1e9)]
"""Length of time [s]."""


class Settings(BaseSettings):
    """All settings, flat; each has a safe default and is described in ``docs/settings.md``."""

    model_config = SettingsConfigDict(
        env_prefix="GREENMINE_", env_file=".env", extra="ignore", env_ignore_empty=True, allow_inf_nan=False
    )

    data: Path = Path("var")
    """Directory under which all state of the installation lies."""
    registry: Path | None = None
    """Directory of the registry; None: ``registry`` in ``data`` if there is one, else the five mines that ship with the package."""

    record: str | None = None
    """Address of a database of PostgreSQL that is the record; None: ``record.sqlite`` in ``data``."""
    record_password: SecretStr | None = None
    """Password there."""

    broker_host: Hosts = "127.0.0.1"
    broker_port: Annotated[int, Field(ge=1, le=65_535)] = 1883
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
    broker_queue: Count = 400_000_000
    """Memory that messages may take at the broker; beyond it no more are taken from devices [bytes]."""
    jetstream: str | None = None
    """Addresses of nats-servers with JetStream, such as ``nats://10.0.0.1:4222``, with commas: readings come from their log, and
    ``broker_host`` is only where alarms are published and simulators send; None: readings come from the broker by MQTT."""
    partitions: Annotated[int, Field(ge=1, le=MOST_PARTITIONS)] = 1
    """Into how many partitions the mines fall, which workers at a log share; fixed when the record is begun."""
    jetstream_days: Annotated[int, Field(ge=1, le=3_650)] = 7
    """How long the log keeps a message [d]."""
    jetstream_operator_password: SecretStr | None = None
    """Of the account that makes the streams."""
    jetstream_monitor_password: SecretStr | None = None
    """Of the account that asks the servers how they are set up."""
    jetstream_gateway_password: SecretStr | None = None
    """Of the account that puts frames of data loggers into the log."""
    ingress_port: Port | None = None
    """Port at which devices are let in to the broker; None: nothing is before the broker."""
    ingress_host: Hosts = "127.0.0.1"
    """Its addresses, with commas."""
    ingress_rate: Annotated[float, Field(gt=0, le=1e12)] = 64_000.0
    """Most that a connection may send, on average [bytes/s]; who sends more waits."""
    ingress_connections: Count = 1_000
    """Connections from one address at the same time."""
    ingress_connects: Budget = Rate(10)
    """New connections that are taken from one address."""
    ingress_user: str | None = None
    """Account at the broker by which its queue is watched."""
    ingress_password: SecretStr | None = None
    mqtt_version: Literal["3.1.1", "5"] = "3.1.1"
    """3.1.1 or 5."""

    batch_readings: Count = 20_000
    """Readings at which a batch is committed without waiting for the linger."""
    batch_bytes: Count = 16_000_000
    """Bytes of payload held before a commit; together with the broker's queue this bounds memory."""
    linger_ms: Span = 50
    """Longest time a message waits for its commit while others keep coming."""
    idle_ms: Span = 2
    """A pause in the stream this long commits at once; a little later where a commit takes longer."""
    payload_limit: Count = 1_000_000
    """Largest payload that is decoded [bytes]."""
    rejection_bytes: Annotated[int, Field(ge=0, le=10**9)] = 2_000
    """How much of a rejected payload is kept once its device's budget of rejections is used up."""

    device_messages: Budget = Rate(500, 2_000_000)
    """Messages that are taken from a device."""
    device_readings: Budget = Rate(10_000, 5_000_000)
    """Readings that are taken from a device, by the most that its payloads can hold."""
    device_bytes: Budget = Rate(1_000_000, 1_000_000_000)
    """Bytes of payload that are taken from a device."""
    device_rejections: Budget = Rate(100, 20_000)
    """Rejections, late and conflicting readings that are kept of a device; more are counted."""
    device_rejected_bytes: Budget = Rate(0, 20_000_000)
    """Bytes of rejected payloads that are kept of a device."""
    site_devices: Annotated[float, Field(gt=0, le=1e6)] = 20.0
    """All devices of a site together may send as much as this many."""

    lateness_hours: Span = 24
    """Readings may be this much older than their channel's newest and still take part in figures."""
    future_seconds: Span = 300
    """Readings further ahead of the clock than this are rejected."""
    grace_seconds: Span = 120
    """A window is judged when its channel has moved this far past its end."""
    silent_minutes: Term = 15
    """A channel without a valid reading for this long (or three intervals, if longer) is silent."""
    checkpoint_seconds: Term = 240
    """How old a mine's part of the checkpoint becomes: a start reads no more of the record than is newer."""

    hj212_port: Port | None = None
    """Port for data loggers; None: there is no server for them, 0: any free one."""
    hj212_host: Hosts = "127.0.0.1"
    hj212_password: SecretStr | None = None
    """PW of all loggers that ``hj212_passwords`` does not name."""
    hj212_passwords: Path | None = None
    """File with a line ``MN = PW`` for each logger."""
    hj212_sm4_keys: Path | None = None
    """File with a line ``MN = KEY`` for each key of SM4; of an MN's two keys the lower one is the newer."""
    hj212_addresses: Path | None = None
    """File with a line ``MN = ADDRESS, NETWORK/BITS`` for each logger that sends no PW and is admitted by where it calls from."""
    hj212_certificate: Path | None = None
    """Certificate of the server for TLS, with ``hj212_key``; None: plain TCP."""
    hj212_key: Path | None = None
    hj212_connections: Count = 2_000
    """Connections at the same time."""
    hj212_nameless: Count = 50
    """Connections from one address on which no known logger has named itself yet."""
    hj212_connects: Budget = Rate(10)
    """New connections from one address on which no known logger names itself."""
    hj212_segment_bytes: Count = 4_096
    """Longest data segment that is taken; the standard allows 1024."""
    hj212_rate: Annotated[float, Field(gt=0, le=1e6)] = 20.0
    """Frames a second that are taken from one connection."""
    hj212_hello_seconds: Seconds = 30.0
    """A connection without a message of a known logger is closed after this time."""
    hj212_idle_seconds: Seconds = 900.0
    """A connection on which nothing comes, or whose other end takes no answers, is closed after this time."""
    hj212_frame_seconds: Seconds = 20.0
    """Longest time that a frame may take to come in, and an answer to go out."""
    hj212_backlog: Count = 5_000
    """Frames held before a commit; beyond it nothing is read."""
    hj212_overtime_seconds: Seconds = 10.0
    """How long a reply to a request is waited for (HJ 212-2017: OverTime)."""
    hj212_resends: Annotated[int, Field(ge=0, le=1_000)] = 3
    """How often a request without a reply is sent again (HJ 212-2017: ReCount)."""
    hj212_catchup_hours: Span = 24
    """How far back gaps are looked for and asked back; 0: never."""
    hj212_catchup_seconds: Seconds = 600.0
    """How often gaps are looked for while a logger is connected, besides when it connects."""
    hj212_catchup_minutes: Term = 60
    """Longest span of minute data that one request asks for."""
    hj212_frame_days: Span = 0
    """How long frames are kept as they came; 0: not at all."""

    host: Hosts = "127.0.0.1"
    """Address of the web server; beyond loopback only behind a TLS proxy, see ``public_url`` and ``trusted_proxies``."""
    port: Port = 8000

    signing_keys: Path | None = None
    """Directory of the installation's signing key; None: ``keys`` under ``data``."""
    archive: str | None = None
    """Where sealed days go: a directory, or the address of a store such as ``s3://bucket/folder``; None: under ``data``."""
    influx_url: WebAddress | None = None
    """Address of InfluxDB; None: there is no projection."""
    influx_version: Literal["1", "2", "3"] = "2"
    """1: 1.8 (a bucket is a database, tokens are ``user:password``), 2: 2.x, 3: 3 Core."""
    influx_org: str = "greenmine"
    """Organisation of InfluxDB 2."""
    influx_ca: Path | None = None
    """Certificate authorities for https; None: those of the system."""
    influx_admin_token: SecretStr | None = None
    """What ``greenmine influx provision`` works with; for version 1 ``user:password``."""
    influx_tokens: Path | None = None
    """File of the buckets' tokens, written by ``greenmine influx provision``; None: in the data directory."""
    influx_retention_days: Span = 0
    """For how long buckets keep points; 0: for ever."""
    influx_batch: Annotated[int, Field(ge=1, le=100_000)] = 5_000
    """Points in a write."""
    influx_timeout_seconds: Seconds = 10.0
    """How long an answer is waited for."""

    grafana_url: WebAddress | None = None
    """Address of Grafana for ``greenmine grafana provision``."""
    grafana_user: str = "admin"
    """Account of Grafana that is server administrator."""
    grafana_password: SecretStr | None = None
    grafana_access: Path | None = None
    """File of Grafana's users and of the contacts of its alerts."""
    grafana_influx_url: WebAddress | None = None
    """Address of InfluxDB as Grafana reaches it; None: that of ``influx_url``."""
    secrets: Annotated[Path, AfterValidator(_no_file)] | None = None
    """Directory of files named by their setting, such as ``greenmine_broker_password``: for what must not be in the environment."""
    broker_files: Path = Path("broker")
    """Directory of the broker's passwords and rights, for ``greenmine device``."""
    broker_pid: Path | None = None
    """File with the broker's process number, by which it is told of a change; None: a person tells it."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - replaced by one whose directory is a setting itself
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given nowhere else from the files in ``secrets``."""
        directory = (dotenv_settings() | env_settings() | init_settings()).get("secrets")
        if directory is not None and Path(directory).exists() and not Path(directory).is_dir():
            directory = None  # what is told of the setting itself
        files = SecretsSettingsSource(settings_cls, secrets_dir=directory)
        return init_settings, env_settings, dotenv_settings, files

    uplink: Path | None = None
    """Plan of what goes to the authority's platforms; None: nothing does."""
    public_url: str = ""
    """Addresses by which people call the web server, such as ``https://mines.example.org``; several with commas."""
    trusted_proxies: str = ""
    """Addresses or networks of the TLS proxies before it, whose X-Forwarded-For and -Proto are believed; with commas."""
    session_idle_minutes: Term = 120
    """A session ends after so long without a request."""
    session_hours: Term = 24
    """A session ends after so long in any case."""
    user_streams: Count = 50
    """Live streams of one user at the same time."""
    address_streams: Count = 100
    """Live streams to one address at the same time."""
    metrics_loopback: bool = False
    """Let programs on this machine read ``/metrics`` without a token."""
    metrics_sites: bool = False
    """``/metrics`` tells of each mine by itself; else of all together."""

    attachment_bytes: Count = 10_000_000
    """Largest file that may be attached to an exceedance."""
    upload_bytes: Count = 20_000_000
    """Largest logger's file that may be handed in; what is packed in it may be ten times as long."""

    bundle_days: Span = 400
    """How long the files of evidence bundles are kept that were built for the pages; 0: for ever."""
    witnesses: Path | None = None
    """File of the witnesses to whom the state of the hash trees is shown; None: there are none."""
    witness_for: Path | None = None
    """File of the keys of other installations for which this one is a witness; None: it is for none."""
    root_minutes: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How often what came is put into the hash trees."""
    witness_minutes: Annotated[float, Field(ge=0, le=10**6)] = 60.0
    """A witness is shown the state of a mine no more often than this."""
    raw_days: Span = 0
    """How long the record keeps raw readings of days that are sealed; 0: for ever."""

    @property
    def statements(self) -> Path:
        """File of what was last stated of each site's data."""
        return self.data / "statements.json"

    @property
    def bundles(self) -> Path:
        """Folder of the evidence bundles, named by their numbers."""
        return self.data / "bundles"

    notify_broker_user: str | None = None
    """Account at the broker by which alarms are published; not the collector's."""
    notify_broker_password: SecretStr | None = None
    notify_private_networks: str = ""
    """Networks that are not public and may be receivers of webhooks all the same, such as ``10.20.0.0/16``; with commas."""
    notify_ca: Path | None = None
    """Certificate authorities for webhooks, robots and the mail server; None: those of the system."""
    notify_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Longest time for one attempt to deliver."""
    notify_retry_seconds: Annotated[float, Field(gt=0, le=3_600)] = 5.0
    """Delay before the second attempt; it doubles from one attempt to the next, up to an hour."""
    notify_give_up_hours: Annotated[float, Field(gt=0, le=10**6)] = 72.0
    """A message that could not be delivered for so long is dead."""
    report_hour: Annotated[int, Field(ge=0, le=23)] = 8
    """From this hour on, on the clock of the mine, the report of the day, week, month, quarter or year that ended is sent."""
    notify_dingtalk_url: WebAddress = "https://oapi.dingtalk.com/robot/send"
    notify_wecom_url: WebAddress = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send"
    smtp_host: Hosts | None = None
    """Mail server; None: there is no e-mail."""
    smtp_port: Annotated[int, Field(ge=1, le=65_535)] = 587
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_from: str = ""
    """Address that mails come from."""
    oidc_issuer: WebAddress | None = None
    """Address of an OpenID Connect provider by which people may sign in; None: there is none."""
    oidc_client: str = ""
    """Client identifier there."""
    oidc_secret: SecretStr | None = None
    """Secret of the client; None: a public client, by PKCE alone."""
    oidc_scopes: str = "openid profile"
    oidc_name: str = "OpenID Connect"
    """What the provider is called on the page to sign in."""
    oidc_ca: Path | None = None
    """Certificate authorities for the provider; None: those of the system."""
    oidc_name_claim: str = "preferred_username"
    """Claim that gives a new account its name."""
    oidc_role_claim: str = "groups"
    """Claim, a text or a list of texts, that ``oidc_roles`` turns into role, enterprises and townships."""
    oidc_roles: str = ""
    """``value=supervisor``, ``value=township:九池乡``, ``value=enterprise:hengjie``; with commas.

    Who has no such value does not get in.
    """

    @field_validator("record")
    @classmethod
    def _address(cls, given: str | None) -> str | None:
        return None if given is None else RecordServer(given).address

    @model_validator(mode="after")
    def _own_registry(self) -> Self:
        if self.registry is None and (self.data / OWN_REGISTRY).is_dir():
            self.registry = self.data / OWN_REGISTRY
        return self

    @property
    def registry_history(self) -> Path:
        """Folder with the changes that were made to the registry by its pages."""
        return self.data / "registry-history"

    @property
    def notices(self) -> Path:
        """File of the subscriptions and of what is still to be told."""
        return self.data / "notices.sqlite"

    @property
    def uploads(self) -> Path:
        """Where files that people hand in are kept, and what was read from them."""
        return self.data / "uploads"

    @property
    def attachments(self) -> Path:
        """Folder of the files attached to exceedances, named by their digests."""
        return self.data / "attachments"

    @property
    def record_place(self) -> Place:
        """Where the record is."""
        return self.data / "record.sqlite" if self.record is None else RecordServer(self.record, self.record_password)

    @property
    def archive_place(self) -> str:
        """Directory or address of the archive."""
        return str(self.data / "archive") if self.archive is None else self.archive

    @property
    def keys(self) -> Path:
        """Directory of the installation's signing key."""
        return self.data / "keys" if self.signing_keys is None else self.signing_keys

    @property
    def accounts(self) -> Path:
        """File of the accounts."""
        return self.data / "accounts.sqlite"
