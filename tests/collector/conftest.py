from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from greenmine.collector.mqtt.broker import Broker, start_broker
from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.entries import Device, Site, Station
from greenmine.limits import load_limits
from greenmine.parameters import load_parameters
from greenmine.registry import Channel, Registry
from greenmine.settings import Settings
from greenmine.themes import load_themes
from tests.collector.payloads.decoder_cases import HERE, PROFILES, RECEIVED, Decode, Refused, Rows

FAHRENHEIT = (5 / 9, -160 / 9)


@pytest.fixture(scope="session")
def registry() -> Registry:
    """One device of each profile, named as it, at the site 'pit'."""
    devices = tuple(
        Device(id=profile.id, profile=profile.id, station="gate", parameters=tuple(profile.units))
        for profile in PROFILES
    )
    station = Station(id="gate", name_zh="厂界", name_en="Gate", role="boundary", position=HERE)
    site = Site(
        id="pit",
        enterprise="owner",
        name_zh="矿山",
        name_en="Pit",
        zone="Asia/Shanghai",
        product_zh="石灰石",
        product_en="limestone",
        scale="1",
        batch=1,
        batch_years="2017",
        requirement_items=(),
        source="a test",
        position=HERE,
        stations=(station,),
        devices=devices,
    )
    parameters = load_parameters()
    pairs = [(profile, parameter) for profile in PROFILES for parameter in profile.units]
    channels = tuple(
        Channel(
            index=index,
            key=f"pit/gate/{parameter}",
            site="pit",
            station="gate",
            device=profile.id,
            parameter=parameters[parameter],
            interval=1000,
            scale=FAHRENHEIT[0] if profile.units[parameter] == "degF" else 1.0,
            offset=FAHRENHEIT[1] if profile.units[parameter] == "degF" else 0.0,
            sends_flags=profile.sends_flags,
        )
        for index, (profile, parameter) in enumerate(pairs)
    )
    limits, conditions = load_limits()
    return Registry(
        enterprises=(),
        sites=(site,),
        profiles={profile.id: profile for profile in PROFILES},
        themes=load_themes(),
        parameters=parameters,
        limits=limits,
        conditions=conditions,
        channels=channels,
        rules=(),
        digest="",
    )


@pytest.fixture
def builder(registry: Registry) -> BatchBuilder:
    return BatchBuilder(registry, Settings())


@pytest.fixture
def decode(builder: BatchBuilder, registry: Registry) -> Decode:
    """Decode payloads of a device, received at RECEIVED, into (parameter, time, value, flag) and (reason, readings)."""

    def run(device: str, payloads: Sequence[bytes]) -> tuple[Rows, Refused]:
        for payload in payloads:
            builder.add(f"greenmine/v1/pit/{device}/readings", payload, RECEIVED)
        batch = builder.finish()
        columns = (batch.readings.channel, batch.readings.time, batch.readings.value, batch.readings.flag)
        rows: Rows = [
            (registry.channels[channel].parameter.id, time, None if math.isnan(value) else value, chr(flag))
            for channel, time, value, flag in zip(*(column.tolist() for column in columns), strict=True)
        ]
        return rows, [(rejection.reason, rejection.readings) for rejection in batch.rejections]

    return run


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Broker]:
    """A real Mosquitto of its own."""
    if shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin") is None:
        pytest.skip("mosquitto is not installed")
    with start_broker(tmp_path / "broker") as broker:
        yield broker
