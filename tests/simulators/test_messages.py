from __future__ import annotations

import shutil
from itertools import chain

import msgspec
import numpy as np
import pytest

from greenmine.loading import load_registry
from greenmine.registry import DEFAULT
from greenmine.simulators.clock import DAY_MS, MINUTE_MS
from greenmine.simulators.messages import payloads
from greenmine.simulators.mine import Mine
from tests.simulators.payload_readers import READERS

TIMES = np.array([1_794_182_400_000, 1_794_182_460_000, 1_794_182_520_250], np.int64)
VALUES = np.array([[81.2, 55.1], [80.0, -3.25], [0.001, 61.0]])
NAMES = ["pm10", "laeq"]
NORMAL = np.full(VALUES.shape, ord("N"), np.uint8)
NUMBERS = np.array([12, 13, 14])


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("profile", ["greenmine-60s", "greenmine-60s-plain", "thingsboard-60s", "sound-1s"])
def test_a_payload_reads_back_to_the_same_values(registry, profile, rows):
    spoken = registry.profiles[profile]
    names = {parameter: field for field, parameter in spoken.fields.items()}
    encoded = list(payloads(spoken, NAMES, TIMES, VALUES, NORMAL, NUMBERS[: -(-3 // rows)], rows))
    assert len(encoded) == -(-3 // rows)
    read = dict(chain.from_iterable(READERS[spoken.format](payload).items() for payload in encoded))
    expected = {
        (int(time), names.get(name, name)): VALUES[i, k] for i, time in enumerate(TIMES) for k, name in enumerate(NAMES)
    }
    assert read == expected


@pytest.mark.parametrize("rows", [1, 3])
def test_senml_names_the_units_of_the_profile(registry, rows):
    profile = registry.profiles["senml-weather-60s"]
    encoded = payloads(profile, ["pressure", "humidity"], TIMES, VALUES, NORMAL, NUMBERS[: -(-3 // rows)], rows)
    records = [record for payload in encoded for record in msgspec.json.decode(payload)]
    assert {(r["n"], r["u"]) for r in records} == {("pressure", "hPa"), ("humidity", "%RH")}
    assert sorted((round(r["t"] * 1000), r["v"]) for r in records) == sorted(
        (int(t), v) for t, row in zip(TIMES, VALUES, strict=True) for v in row
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (1, [{}, {"pm10": "M", "laeq": "N"}, {}]),
        (3, [{"pm10": "NMN", "laeq": "NNN"}]),
    ],
)
def test_flags_are_sent_where_the_profile_says_so(registry, rows, expected):
    flags, values = NORMAL.copy(), VALUES.copy()
    flags[1, 0], values[1, 0] = ord("M"), np.nan
    numbers = NUMBERS[: len(expected)]
    encoded = payloads(registry.profiles["greenmine-60s"], NAMES, TIMES, values, flags, numbers, rows)
    bodies = [msgspec.json.decode(payload) for payload in encoded]
    assert [body["flags"] for body in bodies] == expected
    assert [body["seq"] for body in bodies] == numbers.tolist()
    assert b"null" in msgspec.json.encode(bodies)


def test_a_profile_without_flags_sends_none(registry):
    encoded = payloads(registry.profiles["greenmine-60s-plain"], NAMES, TIMES, VALUES, NORMAL, NUMBERS)
    assert all("flags" not in msgspec.json.decode(payload) for payload in encoded)


@pytest.mark.parametrize(
    ("zone", "stamp"), [("UTC", 1_794_182_400_000), ("Asia/Kathmandu", "2026-11-09T05:45:00.000+05:45")]
)
def test_times_are_milliseconds_in_utc_and_local_with_offset_elsewhere(registry, zone, stamp):
    profile = msgspec.structs.replace(registry.profiles["greenmine-60s"], zone=zone)
    payload = next(payloads(profile, NAMES, TIMES, VALUES, NORMAL, NUMBERS))
    assert str(msgspec.json.decode(payload)["time"]) == str(stamp).replace(".000", "")


def test_every_device_of_the_registry_sends_what_its_mine_measured_in_its_units(registry, sites, monday):
    checked = 0
    for site in sites:
        mine = Mine(registry, site, 1)
        for device in mine.site.devices:
            profile = registry.profiles[device.profile]
            spoken = {parameter: field for field, parameter in profile.fields.items()}
            day = monday // DAY_MS
            columns = mine.columns(device, day)
            read = {}
            for message in mine.messages(device, day, monday, monday + DAY_MS):
                read |= READERS[profile.format](message.payload)
            for k, channel in enumerate(mine.channels(device.id)):
                name = spoken.get(channel.parameter.id, channel.parameter.id)
                sent = [read[int(t), name] for t in columns.times]
                got = np.array([np.nan if v is None else v for v in sent]) * channel.scale + channel.offset
                np.testing.assert_allclose(got, columns.values[:, k], rtol=1e-9, atol=1e-9)
                checked += len(sent)
    assert checked == sum(DAY_MS // channel.interval for channel in registry.channels)


def test_a_device_of_one_second_sends_batches_of_a_minute(tmp_path, monday):
    folder = tmp_path / "registry"
    shutil.copytree(DEFAULT, folder)
    file = folder / "sites" / "kunyin.toml"
    text = file.read_text(encoding="utf-8")
    at = text.index('id = "boundary-noise"')
    line = text.index("profile = ", at)
    file.write_text(text[:line] + 'profile = "sound-1s"' + text[text.index("\n", line) :], encoding="utf-8")
    registry = load_registry(folder)
    mine = Mine(registry, "kunyin", 1)
    device = registry.device("kunyin", "boundary-noise")
    messages = mine.messages(device, monday // DAY_MS, monday, monday + 10 * MINUTE_MS)
    read = [READERS["greenmine"](message.payload) for message in messages]
    assert [len(part) for part in read] == [60 * len(device.parameters)] * 10
    times = {time for part in read for time, _ in part}
    assert times == set(range(monday, monday + 10 * MINUTE_MS, 1000))
    numbers = [msgspec.json.decode(message.payload)["seq"] for message in messages]
    assert numbers == list(range(numbers[0], numbers[0] + 10))


def test_a_mapped_profile_cannot_be_spoken():
    profile = load_registry(also=["airgradient"]).profiles["airgradient"]
    with pytest.raises(ValueError, match="'airgradient' is mapped"):
        list(payloads(profile, NAMES, TIMES, VALUES, NORMAL, NUMBERS))
