"""What `greenmine init` makes, and what it leaves alone."""

from __future__ import annotations

import configparser
import os
import shutil
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from greenmine.cli.authority import expiry, named_hosts
from greenmine.cli.init import IMAGE_GROUP, init
from greenmine.settings import Settings

COMMAND = Path(sys.executable).with_name("greenmine")
GROUP = str(os.getgid())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def made(folder: Path, **options: object) -> dict[str, bytes]:
    init(folder, **({"host": ["mines.example", "10.1.2.3"], "group": GROUP} | options))  # type: ignore[arg-type]
    return contents(folder)


def test_every_secret_is_random_and_no_two_installations_share_one(tmp_path: Path) -> None:
    first, second = made(tmp_path / "a"), made(tmp_path / "b")
    secrets = [name for name in first if name.startswith("secrets/") or name.endswith((".key", "passwords"))]
    assert len(secrets) == 13
    assert not {first[name] for name in secrets} & {second[name] for name in secrets}
    assert len({first[name] for name in secrets}) == len(secrets)
    assert all(len(first[name].strip()) >= 32 for name in secrets)


def test_nobody_but_owner_and_group_reads_a_secret_and_nobody_but_the_owner_the_authoritys_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made(tmp_path / "a")
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(tmp_path / "a")): stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").rglob("*")
    }
    public = {name for name, mode in modes.items() if mode & stat.S_IRWXO}
    assert public == {"authority/ca.crt", "broker/server.crt", "proxy/server.crt"}
    assert modes["authority/ca.key"] == 0o600
    assert not any(mode & (stat.S_IWGRP | stat.S_IWOTH) for mode in modes.values())


def test_the_second_time_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = made(tmp_path)
    capsys.readouterr()
    init(tmp_path, group=GROUP)
    assert contents(tmp_path) == before
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"kept"}


def test_what_was_removed_is_made_anew_and_the_rest_kept(tmp_path: Path) -> None:
    before = made(tmp_path)
    for name in ("secrets/greenmine_broker_password", "secrets/grafana_secret_key", "proxy/server.key"):
        (tmp_path / name).unlink()
    after = made(tmp_path)
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] != after[name]} == {
        "secrets/greenmine_broker_password",
        "secrets/grafana_secret_key",
        "broker/passwords",
        "proxy/server.key",
        "proxy/server.crt",
    }


def test_an_edited_configuration_and_own_settings_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".env").write_text("GREENMINE_PUBLIC_URL=https://other.example\nMINE=1")
    made(tmp_path)
    (tmp_path / "broker" / "mosquitto.conf").write_text("# mine\n")
    made(tmp_path)
    assert (tmp_path / "broker" / "mosquitto.conf").read_text() == "# mine\n"
    assert "broker/mosquitto.conf  differs" in capsys.readouterr().out
    lines = (tmp_path / ".env").read_text().splitlines()
    assert lines[:2] == ["GREENMINE_PUBLIC_URL=https://other.example", "MINE=1"]
    assert [line.split("=")[0] for line in lines].count("GREENMINE_PUBLIC_URL") == 1


def test_certificates_are_renewed_by_the_same_authority_for_the_same_or_other_hosts(tmp_path: Path) -> None:
    before = made(tmp_path)
    init(tmp_path, group=GROUP, renew_certificates=True)
    renewed = contents(tmp_path)
    changed = {f"{server}/server.{end}" for server in ("broker", "proxy") for end in ("crt", "key")}
    assert {name for name in before if before[name] != renewed[name]} == changed
    certificate = tmp_path / "broker" / "server.crt"
    assert named_hosts(certificate) == ["mines.example", "10.1.2.3", "broker", "localhost", "127.0.0.1", "::1"]
    init(tmp_path, host=["new.example"], group=GROUP, renew_certificates=True)
    assert named_hosts(certificate)[0] == "new.example"


def test_a_certificate_that_lacks_a_host_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path)
    made(tmp_path, host=["mines.example", "new.example"])
    assert "broker/server.crt  is not for new.example: --renew-certificates" in capsys.readouterr().out


def test_certificates_hold_for_servers_only_and_long_enough(tmp_path: Path) -> None:
    made(tmp_path)
    ca, server = (
        x509.load_pem_x509_certificate((tmp_path / name).read_bytes())
        for name in ("authority/ca.crt", "broker/server.crt")
    )
    server.verify_directly_issued_by(ca)
    assert ca.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 0)
    assert server.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(False, None)
    now = datetime.now(UTC)
    assert expiry(tmp_path / "authority" / "ca.crt") > now + timedelta(days=3600)
    assert now + timedelta(days=390) < expiry(tmp_path / "broker" / "server.crt") < now + timedelta(days=398)
    context = ssl.create_default_context(cafile=tmp_path / "authority" / "ca.crt")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert len(context.get_ca_certs()) == 1


def test_another_authoritys_key_is_refused_and_nothing_is_made_with_it(tmp_path: Path) -> None:
    made(tmp_path / "a")
    before = made(tmp_path / "b")
    shutil.copy(tmp_path / "a" / "authority" / "ca.key", tmp_path / "b" / "authority" / "ca.key")
    with pytest.raises(SystemExit, match="is not the key of"):
        init(tmp_path / "b", group=GROUP, renew_certificates=True)
    (tmp_path / "b" / "authority" / "ca.key").unlink()
    with pytest.raises(SystemExit, match="is missing; put it back"):
        init(tmp_path / "b", group=GROUP, renew_certificates=True)
    after = contents(tmp_path / "b")
    assert {name: after[name] for name in after} == {n: c for n, c in before.items() if n != "authority/ca.key"}


@pytest.mark.parametrize(
    "host", ["", "two words", "https://mines.example", "-x", "a..b", "x" * 64, "矿山", "a\nb", "*"]
)
def test_a_host_that_is_none_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(SystemExit, match="neither a host name"):
        init(tmp_path / "a", host=[host], group=GROUP)
    assert not (tmp_path / "a").exists()


def test_what_cannot_be_guessed_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--host is needed"):
        init(tmp_path / "a", group=GROUP)
    with pytest.raises(SystemExit, match="no group 'nobody-has-this'"):
        init(tmp_path / "a", host=["x"], group="nobody-has-this")
    with pytest.raises(SystemExit, match="--group is needed"):
        init(tmp_path / "a", host=["x"], without_docker=True)
    assert not (tmp_path / "a").exists()


def test_the_command_says_what_it_made_and_no_secret(tmp_path: Path) -> None:
    run = [COMMAND, "init", tmp_path / "a", "--host", "mines.example", "--group", GROUP, "--simulator"]
    said = subprocess.run(run, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert said.stderr == ""
    secrets = [path.read_text() for path in (tmp_path / "a" / "secrets").iterdir()]
    assert len(secrets) == 10
    assert not any(secret in said.stdout for secret in secrets)
    assert "user simulator\ntopic write greenmine/v1/+/+/readings" in (tmp_path / "a" / "broker" / "acl").read_text()


def test_without_a_simulator_nobody_may_publish_as_all_devices(tmp_path: Path) -> None:
    files = made(tmp_path)
    assert b"simulator" not in files["broker/passwords"] + files["broker/acl"]
    assert files["broker/mosquitto.conf"].count(b"\nlistener ") == 1
    assert b"write greenmine/v1" not in files["broker/acl"]


def test_a_simulator_can_be_added_later_and_stays(tmp_path: Path) -> None:
    plain = made(tmp_path)
    playing = made(tmp_path, simulator=True)
    assert {name for name in plain if plain[name] != playing[name]} == {
        "broker/mosquitto.conf",
        "broker/passwords",
        "broker/acl",
    }
    assert playing["broker/mosquitto.conf"].count(b"\nlistener ") == 2
    assert made(tmp_path) == playing


def test_without_docker_settings_lead_to_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, without_docker=True)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GREENMINE_")]:
        monkeypatch.delenv(name)
    settings = Settings()
    assert settings.broker_tls
    assert settings.broker_ca == tmp_path / "authority" / "ca.crt"
    assert settings.broker_password is not None
    assert settings.broker_password.get_secret_value() == (tmp_path / "secrets/greenmine_broker_password").read_text()
    assert (settings.broker_files / "acl").exists()
    assert f"\nlistener {settings.broker_port} 127.0.0.1\n" in (settings.broker_files / "mosquitto.conf").read_text()
    assert settings.ingress_port not in {None, settings.broker_port}
    assert settings.ingress_password is not None
    assert b"/mosquitto/" not in contents(tmp_path)["broker/mosquitto.conf"]
    playing = made(tmp_path, without_docker=True, simulator=True)["broker/mosquitto.conf"]
    assert b"\nlistener 8884 127.0.0.1\n" in playing


def test_without_docker_nginx_takes_the_configuration(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path=os.pathsep.join((os.environ["PATH"], "/usr/sbin")))
    if nginx is None:
        if "CI" in os.environ:
            pytest.fail("nginx is not installed; on Debian: apt-get install nginx-light")
        pytest.skip("nginx is not installed; on Debian: apt-get install nginx-light")
    text = made(tmp_path, without_docker=True)["proxy/nginx.conf"].decode()
    text = text.replace("/run/greenmine-proxy", str(tmp_path))
    for number, port in enumerate(("listen 443", "listen 3443", "listen 127.0.0.1:8081")):
        assert text.count(port) == 1
        text = text.replace(port, f"listen unix:{number}")
    (tmp_path / "checked.conf").write_text(text)
    run = [nginx, "-t", "-e", "stderr", "-c", tmp_path / "checked.conf"]
    said = subprocess.run([*run, "-p", tmp_path], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "syntax is ok" in said.stderr


def test_the_environment_comes_before_files_of_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "greenmine_broker_password").write_text("from the file\n")
    monkeypatch.setenv("GREENMINE_SECRETS", str(tmp_path))
    found = Settings().broker_password
    assert found is not None
    assert found.get_secret_value() == "from the file"
    assert "from the file" not in repr(Settings())
    monkeypatch.setenv("GREENMINE_BROKER_PASSWORD", "from the environment")
    found = Settings().broker_password
    assert found is not None
    assert found.get_secret_value() == "from the environment"


def test_an_empty_variable_counts_as_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENMINE_REGISTRY", "")
    assert Settings().registry is None


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    made(tmp_path, without_docker=True)
    return sorted((tmp_path / "systemd").iterdir())


def test_units_pass_systemds_own_check(units: list[Path]) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    run = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units]
    said = subprocess.run(run, capture_output=True, text=True, check=False)
    assert [line for line in said.stderr.splitlines() if str(units[0].parent) in line or "greenmine" in line] == []
    assert said.returncode == 0


def test_every_service_is_bounded_and_has_no_more_rights_than_it_needs(units: list[Path]) -> None:
    services = [unit for unit in units if unit.suffix == ".service"]
    assert [unit.stem for unit in services] == [
        f"greenmine-{name}"
        for name in ("backup", "broker", "ingress", "notifier", "projection", "proxy", "web", "worker")
    ]
    for unit in services:
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read(unit)
        service = parser["Service"]
        assert service["User"] != "root"
        assert service["NoNewPrivileges"] == "yes"
        assert service["ProtectSystem"] == "strict"
        assert service["CapabilityBoundingSet"] in {"", "CAP_NET_BIND_SERVICE"}
        assert "@" not in unit.read_text()


def test_the_images_group_is_the_one_of_the_dockerfile() -> None:
    assert f"ARG ID={IMAGE_GROUP}\n" in (Path(__file__).parents[2] / "Dockerfile").read_text()


def test_the_proxy_lets_pass_what_may_be_handed_in(tmp_path: Path) -> None:
    configuration = made(tmp_path / "a")["proxy/nginx.conf"].decode()
    passed = int(configuration.partition("client_max_body_size ")[2].partition("m;")[0]) << 20
    form = 100_000
    settings = Settings()
    assert passed >= max(settings.upload_bytes, settings.attachment_bytes) + form
