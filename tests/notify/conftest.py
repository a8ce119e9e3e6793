from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from greenmine.collector.mqtt.broker import Broker, start_broker

PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


def needed(program: str) -> None:
    """A laptop without a program skips, continuous integration fails."""
    if shutil.which(program, path=PLACES) is None:
        missing = f"{program} is not installed; on Debian: apt-get install {program}"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Broker:
    needed("mosquitto")
    with start_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """A certificate of 127.0.0.1 that is its own authority, and the context of a server that has it."""
    needed("openssl")
    folder = tmp_path_factory.mktemp("authority")
    key, pem = folder / "key", folder / "pem"
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    where = ["-subj", "/CN=mail", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(pem)]
    subprocess.run(["openssl", *made, *where], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return pem, context
