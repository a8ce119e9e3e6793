"""A bucket that is made again gets new tokens, and Grafana gets the new one without a person."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from greenmine.grafana.influx.influx import load_tokens
from greenmine.grafana.influx.influx_schema import bucket_of
from tests.influxing import until
from tests.real.conftest import Installation, Provisioned
from tests.real.servers import InfluxDB
from tests.real.test_tenants import SITES, ask

NAME = bucket_of("hengjie")


def test_a_remade_bucket_reaches_grafana(
    provisioned: Provisioned, installation: Installation, influx: InfluxDB
) -> None:
    grafana = provisioned.grafana
    org = grafana.organisations()["hengjie"]

    def seen() -> bool:
        query = SITES.format(source='"health"')
        answer = ask(grafana, installation, query, org, ("admin", grafana.password))
        return answer.status == 200 and b"hengjie" in answer.body

    assert seen()
    before = load_tokens(installation.settings)[NAME].read
    watching = subprocess.Popen(
        [Path(sys.executable).with_name("greenmine"), "grafana", "provision", "--watch"],
        env=installation.environment,
        cwd=installation.folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        (bucket,) = influx.call("GET", f"/api/v2/buckets?name={NAME}").json()["buckets"]
        assert influx.call("DELETE", f"/api/v2/buckets/{bucket['id']}").status == 204
        until(lambda: load_tokens(installation.settings)[NAME].read != before, "new tokens", 300)
        until(seen, "the new token in Grafana", 300)
    finally:
        watching.terminate()
        watching.wait()
