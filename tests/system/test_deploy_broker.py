"""What accounts may do, tried out on a real Mosquitto with the configuration that `greenmine init` makes."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from greenmine.cli import app
from greenmine.cli.authority import Authority
from greenmine.cli.init import init
from greenmine.collector.mqtt.credentials import COLLECTOR, NOTIFIER
from greenmine.collector.mqtt.session import TOPIC, Session
from greenmine.settings import Settings
from tests.system.deployed import Client, DeployedBroker, Installation, quiet
from tests.system.running import RestartableBroker, until

MINE, OTHER = "yanjing/boundary-dust", "jiuchi/boundary-dust"


def own(device: str, kind: str = "readings") -> str:
    return f"greenmine/v1/{device}/{kind}"


class Site:
    """An installation with two devices, and its broker."""

    def __init__(self, folder: Path) -> None:
        self.installation = Installation(folder / "installation")
        credentials = self.installation.credentials()
        self.passwords = {device: credentials.add(device) for device in (MINE, OTHER)}
        self.passwords |= {reader: credentials.add(reader) for reader in ("alarms", "alarms@jiuchi")}
        self.passwords[NOTIFIER] = self.installation.secret("greenmine_notify_broker_password")
        self.passwords[COLLECTOR] = self.installation.secret("greenmine_broker_password")
        self.passwords["monitor"] = self.installation.secret("broker_monitor_password")
        self.broker = DeployedBroker(self.installation, folder / "state")

    def client(self, account: str, **options: object) -> Client:
        return Client(self.broker.port, account, self.passwords[account], self.installation.tls(), **options)  # type: ignore[arg-type]

    def settings(self, folder: Path, **changes: object) -> Settings:
        """The collector's, as docker-compose.yml gives them."""
        given = {
            "data": folder,
            "broker_host": "localhost",
            "broker_port": self.broker.port,
            "broker_tls": True,
            "broker_ca": self.installation.ca,
            "broker_user": COLLECTOR,
            "secrets": self.installation.folder / "secrets",
        }
        return Settings(**(given | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def site(brokers: type[RestartableBroker], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:  # noqa: ARG001 - the need for Mosquitto
    made = Site(tmp_path_factory.mktemp("site"))
    with made.broker:
        yield made


@pytest.fixture
def changing(brokers: type[RestartableBroker], tmp_path: Path) -> Iterator[Site]:  # noqa: ARG001 - the need for Mosquitto
    """One of its own, for tests that change accounts."""
    made = Site(tmp_path)
    with made.broker:
        yield made


@pytest.mark.parametrize(
    "topic",
    [
        own(OTHER),
        own(OTHER, "status"),
        own(f"{MINE}x"),
        f"{own(MINE)}/deeper",
        own(MINE).upper(),
        "greenmine/v1/yanjing/readings",
        own("collector/collector"),
        "$SYS/broker/uptime",
        "anything",
    ],
)
def test_what_a_device_publishes_on_another_topic_reaches_nobody(site: Site, topic: str) -> None:
    with site.client(COLLECTOR) as collector, site.client("monitor") as monitor:
        collector.subscribe(TOPIC)
        monitor.subscribe("#")
        monitor.subscribe("$SYS/broker/uptime")
        for retain in (False, True):
            with site.client(MINE) as device:
                device.try_publish(topic, b"forged", retain=retain)
        with site.client(MINE) as device:
            device.publish(own(MINE), b"true")
        collector.await_message(own(MINE), b"true")
        quiet()
        assert collector.received == [(own(MINE), b"true")]
        assert not any(b"forged" in payload for _, payload in monitor.received)


def test_a_last_will_on_another_topic_reaches_nobody(site: Site) -> None:
    with site.client(COLLECTOR) as collector, site.client(OTHER) as other:
        collector.subscribe(TOPIC)
        for topic in (own(OTHER), own(MINE)):
            device = site.client(MINE, will=topic)
            if device.answer == "Success":
                device.vanish()
        collector.await_message(own(MINE), b"will")
        other.publish(own(OTHER), b"true")
        collector.await_message(own(OTHER), b"true")
        assert collector.received == [(own(MINE), b"will"), (own(OTHER), b"true")]


@pytest.mark.parametrize(
    "topic",
    [
        own(OTHER),
        own(MINE),
        TOPIC,
        "#",
        "greenmine/#",
        "+/+/+/+/+",
        "$SYS/#",
        f"$share/group/{TOPIC}",
        own(OTHER, "status"),
    ],
)
def test_a_device_reads_nothing(site: Site, topic: str) -> None:
    with site.client(MINE) as device, site.client(OTHER) as other, site.client(COLLECTOR) as collector:
        collector.subscribe(TOPIC)
        device.subscribe(topic)
        device.publish(own(MINE), b"own")
        collector.await_message(own(MINE), b"own")
        for kind in ("readings", "status"):
            other.publish(own(OTHER, kind), b"true", retain=kind == "status")
        collector.await_message(own(OTHER), b"true")
        quiet()
        assert device.received == []
        assert collector.received == [(own(MINE), b"own"), (own(OTHER), b"true")]


def test_the_collector_reads_readings_and_the_queue_only_and_publishes_nothing(site: Site) -> None:
    with site.client(MINE) as device, site.client(COLLECTOR) as collector, site.client("monitor") as monitor:
        for topic in ("greenmine/#", "$SYS/#"):
            collector.subscribe(topic)
        monitor.subscribe("#")
        device.publish(own(MINE, "status"), b"online")
        device.publish(own(MINE), b"true")
        collector.await_message(own(MINE), b"true")
        quiet()
        figures = [told for told in collector.received if told[0].startswith("$SYS/broker/store/messages/")]
        assert [told for told in collector.received if told not in figures] == [(own(MINE), b"true")]
        collector.try_publish(own(MINE), b"forged")
        with site.client(COLLECTOR) as again:
            again.subscribe(TOPIC)
            device.publish(own(MINE), b"true")
            again.await_message(own(MINE), b"true")
            assert (own(MINE), b"forged") not in collector.received + again.received
        assert monitor.received == []


def test_alarms_are_told_by_the_notifier_alone_and_read_by_whom_they_concern(site: Site) -> None:
    root, tail = "greenmine/alarms/v1", "jiuchi/boundary/limit"
    with (
        site.client("alarms@jiuchi") as own_reader,
        site.client("alarms") as district,
        site.client(COLLECTOR) as collector,
    ):
        for reader in (own_reader, district, collector):
            reader.subscribe("greenmine/#")
        with site.client(MINE) as device:
            device.try_publish(f"{root}/enterprise/jiuchi/{tail}", b"forged")
        own_reader.try_publish(f"{root}/enterprise/jiuchi/{tail}", b"forged")
        with site.client(NOTIFIER) as notifier:
            for owner in ("enterprise/hengjie", "district", "enterprise/jiuchi"):
                notifier.publish(f"{root}/{owner}/{tail}", owner.encode(), retain=True)
        district.await_message(f"{root}/district/{tail}", b"district")
        with site.client("alarms@jiuchi") as late:
            late.subscribe("greenmine/#")
            late.await_message(f"{root}/enterprise/jiuchi/{tail}", b"enterprise/jiuchi")
            quiet()
            assert late.received == [(f"{root}/enterprise/jiuchi/{tail}", b"enterprise/jiuchi")]
        assert district.received == [(f"{root}/district/{tail}", b"district")]
        assert collector.received == []


def test_who_watches_the_broker_sees_its_figures_and_no_readings(site: Site) -> None:
    with site.client("monitor") as monitor, site.client(MINE) as device:
        for topic in ("#", "$SYS/#"):
            monitor.subscribe(topic)
        device.publish(own(MINE), b"true")
        until(lambda: "$SYS/broker/version" in dict(monitor.received), "the broker's figures", 15)
        assert {topic.split("/")[0] for topic, _ in monitor.received} == {"$SYS"}


def test_nobody_comes_in_without_tls(site: Site) -> None:
    with socket.create_connection(("localhost", site.broker.port), timeout=5) as plain:
        plain.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test")
        try:
            answer = plain.recv(16)
        except ConnectionResetError:
            answer = b""
    assert answer[:1] != b"\x20"
    with Client(site.broker.port, MINE, site.passwords[MINE], None) as client:
        assert client.answer is None
        assert client.ended


def test_old_versions_of_tls_are_refused(site: Site) -> None:
    context = ssl.create_default_context(cafile=site.installation.ca)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("localhost", site.broker.port), timeout=5) as plain,
        pytest.raises(OSError, match=r"(?i)protocol|alert|version"),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (MINE, "wrong"),
        (MINE, ""),
        (MINE, None),
        ("jiuchi/nobody", "x"),
        ("", ""),
        (None, None),
        (COLLECTOR, "collector"),
    ],
)
def test_nobody_comes_in_with_wrong_credentials(site: Site, user: str | None, password: str | None) -> None:
    with Client(site.broker.port, user, password, site.installation.tls()) as client:
        assert client.answer == "Not authorized"
        until(lambda: client.ended, "the end of the connection", 10)


def test_the_password_of_one_device_does_not_open_another(site: Site) -> None:
    with Client(site.broker.port, MINE, site.passwords[OTHER], site.installation.tls()) as client:
        assert client.answer == "Not authorized"


def test_no_device_takes_the_collectors_session_by_its_client_identifier(site: Site) -> None:
    with site.client(COLLECTOR, client="greenmine-collector", clean=False) as collector:
        collector.subscribe(TOPIC)
    with site.client(MINE) as device:
        device.publish(own(MINE), b"while away")
    for stolen in ("greenmine-collector", COLLECTOR):
        with site.client(OTHER, client=stolen, clean=True) as thief:
            assert thief.answer == "Success"
    with site.client(COLLECTOR, client="greenmine-collector", clean=False) as collector:
        collector.await_message(own(MINE), b"while away")
    with site.client(COLLECTOR, client="greenmine-collector", clean=True):
        pass  # ends the session for the tests to come


def refused(settings: Settings) -> None:
    """Let the collector try twice to connect, and see that it never does."""
    stop = threading.Event()
    session = Session(settings, lambda _messages: None, stop)
    thread = threading.Thread(target=session.run)
    thread.start()
    until(lambda: session.counters.failures >= 2, "two attempts", 10)
    stop.set()
    thread.join()
    assert session.counters.connections == 0


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_our_collector_gives_its_password_to_no_broker_of_another_authority(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = tmp_path / "ca.crt"
    Authority.make("another", datetime.now(UTC)).write(authority, tmp_path / "ca.key")
    before = site.broker.log.read_text().count("as collector")
    refused(site.settings(tmp_path, broker_ca=authority))
    assert "CERTIFICATE_VERIFY_FAILED" in capsys.readouterr().out
    assert site.broker.log.read_text().count("as collector") == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_our_collector_gives_its_password_to_no_server_of_another_name(
    changing: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = changing.installation.folder
    authority = Authority.read(folder / "authority" / "ca.crt", folder / "authority" / "ca.key")
    files = (folder / "broker" / "server.crt", folder / "broker" / "server.key")
    authority.issue(["elsewhere.example"], *files, datetime.now(UTC))
    changing.broker.reload()
    shown = files[0].read_text()
    until(lambda: changing.broker.certificate() == shown, "the broker to take up the certificate", 10)
    refused(changing.settings(tmp_path))
    assert "Hostname mismatch" in capsys.readouterr().out
    assert "as collector" not in changing.broker.log.read_text()


def test_a_revoked_device_is_put_out_at_once_and_stays_out(
    changing: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GREENMINE_BROKER_FILES", str(changing.installation.folder / "broker"))
    monkeypatch.setenv("GREENMINE_BROKER_PID", str(changing.broker.pid_file))
    with changing.client(COLLECTOR) as collector, changing.client(OTHER) as other:
        collector.subscribe(TOPIC)
        device = changing.client(MINE, client="d", clean=False)
        device.publish(own(MINE), b"before")
        app(["device", "revoke", MINE], result_action="return_value")
        until(lambda: device.ended, "the end of the revoked device's connection", 10)
        with changing.client(MINE) as again:
            assert again.answer == "Not authorized"
        other.publish(own(OTHER), b"after")
        collector.await_message(own(OTHER), b"after")
        assert not other.ended
        assert not collector.ended
        assert collector.received == [(own(MINE), b"before"), (own(OTHER), b"after")]
        device.close()

        capsys.readouterr()
        app(["device", "add", MINE, "--format", "json"], result_action="return_value")
        changing.passwords[MINE] = json.loads(capsys.readouterr().out)["password"]
        with ExitStack() as stack:
            readmitted: list[Client] = []

            def admitted() -> bool:
                client = stack.enter_context(changing.client(MINE))
                readmitted.append(client)
                return client.answer == "Success"

            until(admitted, "the broker to know the new account", 10)
            readmitted[-1].publish(own(MINE), b"again")
            collector.await_message(own(MINE), b"again")


def test_a_new_password_puts_out_who_uses_the_old_one(changing: Site) -> None:
    device = changing.client(MINE)
    changing.installation.credentials().add(MINE, renew=True)
    changing.broker.reload()
    until(lambda: device.ended, "the end of the connection", 10)
    device.close()
    with changing.client(MINE) as again:
        assert again.answer == "Not authorized"


def test_a_renewed_certificate_is_taken_up_without_a_restart(changing: Site) -> None:
    before = changing.broker.certificate()
    with changing.client(MINE) as device:
        init(changing.installation.folder, renew_certificates=True)
        changing.broker.reload()
        until(lambda: changing.broker.certificate() != before, "the new certificate", 10)
        device.publish(own(MINE), b"still here")
        assert not device.ended
    with changing.client(MINE) as again:
        assert again.answer == "Success"


def test_what_comes_before_the_collector_was_ever_connected_is_kept_for_it(changing: Site, tmp_path: Path) -> None:
    with changing.client(MINE) as device:
        for number in range(50):
            device.publish(own(MINE), b"%d" % number)
    received: list[bytes] = []
    stop = threading.Event()
    settings = changing.settings(tmp_path / "data")
    session = Session(settings, lambda batch: received.extend(message.payload for message in batch), stop)
    thread = threading.Thread(target=session.run)
    thread.start()
    until(lambda: len(received) >= 50, "what was published before")
    stop.set()
    thread.join()
    assert received == [b"%d" % number for number in range(50)]
