"""The real InfluxDB of the tests takes what the InfluxDB 2 client writes and gives it back by InfluxQL."""

from __future__ import annotations

from pathlib import Path

from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS

from tests.influxing import real_influx


def test_what_the_client_writes_is_read_back(tmp_path: Path) -> None:
    with real_influx(tmp_path / "influx") as server:
        server.query("CREATE DATABASE mine")
        with InfluxDBClient(server.url, token="any", org="any") as client:
            client.write_api(SYNCHRONOUS).write(
                "mine", record=b'm,a=1 x=1.5,s="\xe6\x9f\xa5" 1000', write_precision="ms"
            )
        expected = {"m": {(("a", "1"), ("time", 1_000_000_000)): {"x": 1.5, "s": "查"}}}
        assert server.export("mine") == expected
        server.kill()
        server.start()
        assert server.export("mine") == expected
