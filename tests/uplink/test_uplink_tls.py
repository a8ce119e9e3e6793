"""TLS to a platform whose certificate the plan's authority has signed, and to one that it has not."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess

import pytest

from tests.hj212_platform import Platform
from tests.uplink.test_uplink_platform import Running
from tests.uplink.uplink_site import MINUTE, START, WORD, Mine, datatimes, plan_of, until


def certificate(folder, name):
    if shutil.which("openssl") is None:
        told = "openssl is not installed; on Debian: apt-get install openssl"
        if "CI" in os.environ:
            pytest.fail(told)
        pytest.skip(told)
    key, pem = folder / f"{name}.key", folder / f"{name}.pem"
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    where = ["-subj", "/CN=platform", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(pem)]
    subprocess.run(["openssl", *made, *where], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context


@pytest.mark.parametrize("trusted", [True, False])
def test_a_platform_gets_something_only_with_a_certificate_that_is_trusted(registry, tmp_path, trusted):
    mine = Mine(registry, tmp_path)
    mine.live(START, START + 2 * MINUTE)
    contexts = {name: certificate(tmp_path, name) for name in ("known", "other")}

    async def go():
        platform = Platform()
        await platform.start(tls=contexts["known" if trusted else "other"])
        plan = plan_of(tmp_path, platform.port, commands='["2011"]')
        secured = plan.read_text().replace("recount = 3", 'recount = 3\ntls = true\nca = "known.pem"')
        uplink = Running(mine, platform, plan=secured)
        uplink.start()
        caller = uplink.client.caller
        await until(lambda: len(platform.arrivals) == 2 or caller.counts["failures"] >= 2)
        await uplink.stop()
        await platform.stop()
        return datatimes(platform, "2011"), caller.trouble

    times, trouble = asyncio.run(go())
    assert times == ([START, START + MINUTE] if trusted else [])
    assert ("certificate" in trouble) is not trusted
    assert WORD not in trouble
