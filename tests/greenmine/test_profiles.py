"""Profiles and devices of other makers: what is shipped, what may be built upon it, and what is refused at start."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from greenmine.loading import load_registry
from greenmine.mapping import Binary, MappedValue, Mapping, Part, Record
from greenmine.registry import DEFAULT, Registry, RegistryError
from greenmine.routes import MOST_FILTERS, filters, routes
from greenmine.shipped_profiles import ShippedProfiles

DOCS = Path(__file__).parents[2] / "docs" / "profiles.md"

OWN = """
[[profiles]]
id = "own"
format = "mapped"
interval = "60s"
sends_flags = false
topics = ["plant/{address}/up"]
"""
MAPPING = """
[profiles.mapping]
time = "t"
values = [{ parameter = "pm10", value = "p", unit = "mg/m3" }]
"""
DEVICE = """
[[devices]]
id = "stranger"
profile = "own"
station = "reference"
parameters = ["pm1"]
address = "17"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEFAULT, tmp_path / "registry"))


def append(directory: Path, file: str, text: str) -> None:
    path = directory / file
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def faults(directory: Path) -> str:
    with pytest.raises(RegistryError) as caught:
        load_registry(directory)
    return "\n".join(caught.value.faults)


def with_devices(directory: Path, profile: str, *devices: str) -> Registry:
    append(directory, "profiles.toml", profile)
    for device in devices:
        append(directory, "sites/jiuchi.toml", device)
    return load_registry(directory)


def test_the_shipped_profiles_are_sound() -> None:
    ids = ShippedProfiles.shipped().ids
    registry = load_registry(also=ids)
    assert {"tasmota", "airrohr", "esphome", "airgradient", "milesight-ws302", "milesight-wts506"} <= set(ids)
    assert set(ids) <= registry.profiles.keys()
    assert all(registry.profiles[name].mapping for name in ids)


def test_only_what_devices_use_of_them_is_in_a_registry() -> None:
    assert not set(ShippedProfiles.shipped().ids) & load_registry().profiles.keys()


@pytest.mark.parametrize("template", ["chirpstack-v4", "ttn-v3", "sensorthings"])
def test_a_template_needs_no_more_than_it_says(directory: Path, template: str) -> None:
    own = f'[[profiles]]\nid = "own"\nbased_on = "{template}"\ninterval = "60s"\n[profiles.mapping]\n'
    own += 'values = [{ parameter = "pm1", name = "1", value = "v", unit = "ug/m3" }]\n'
    own = own if template == "sensorthings" else own.replace('name = "1", ', "")
    registry = with_devices(directory, own, DEVICE)
    assert registry.device_channels("jiuchi", "stranger").keys() == {"pm1"}
    assert registry.profiles["own"].mapping is not None
    assert registry.profiles["own"].mapping.time is not None


@pytest.mark.parametrize("template", ["chirpstack-v4", "ttn-v3", "sensorthings"])
def test_a_template_cannot_be_used_by_itself_and_says_what_it_leaves_open(directory: Path, template: str) -> None:
    append(directory, "sites/jiuchi.toml", DEVICE.replace('"own"', f'"{template}"'))
    found = faults(directory)
    assert f'profile: "{template}" is a template' in found
    assert "interval" in found
    assert f'based_on = "{template}"' in found


def test_a_profile_takes_from_its_base_what_it_does_not_say(directory: Path) -> None:
    own = '[[profiles]]\nid = "own"\nbased_on = "tasmota"\nzone = "Asia/Shanghai"\n[profiles.mapping]\n'
    own += 'values = [{ parameter = "pm10", value = "X.PM10", unit = "ug/m3" }]\n'
    registry = with_devices(directory, own, DEVICE)
    profile = registry.profiles["own"]
    assert (profile.zone, profile.interval, profile.topics) == ("Asia/Shanghai", "300s", ("tele/{address}/SENSOR",))
    assert profile.mapping is not None
    assert profile.mapping.time == "Time"
    values = {value.parameter: value.value for value in profile.mapping.values}
    assert values["pm10"] == "X.PM10"
    assert values["pm2.5"] == '[SDS0X1, PMS5003][]."PM2.5"'


UNKNOWN_BASE = '[[profiles]]\nid = "own"\nbased_on = "sparkplug-b"\n'


@pytest.mark.parametrize(
    ("profiles", "device"),
    [
        ("", DEVICE.replace('"own"', '"sparkplug-b"')),
        (UNKNOWN_BASE, ""),
        (OWN.replace("plant/{address}/up", "spBv1.0/+/DDATA/+/{address}") + MAPPING, ""),
        (OWN + MAPPING.replace("pm10", "pm1"), DEVICE + 'topics = ["spBv1.0/+/DDATA/+/{address}"]\n'),
    ],
    ids=["profile", "base", "topics of a profile", "topics of a device"],
)
def test_sparkplug_b_is_named_as_not_supported(directory: Path, profiles: str, device: str) -> None:
    append(directory, "profiles.toml", profiles)
    append(directory, "sites/jiuchi.toml", device)
    assert "Sparkplug B is not supported: its values carry only an alias" in faults(directory)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('value = "p"', 'value = "p["', "mapping: values number 1: value: 'p[' is no JMESPath expression"),
        ('value = "p"', 'value = "sums(p)"', "JMESPath has no function 'sums'"),
        ('time = "t"', 'time = "t" \nsamples = "a b"', "mapping: samples: 'a b' is no JMESPath"),
        ('time = "t"', "", "mapping: time is missing; say where it stands, or allow the time of receipt"),
        ('time = "t"', 'time = "t"\ntime_form = "%d.%m.%Y"', "does not give date, hour and minute"),
        ('time = "t"', 'time = "t"\ntime_form = "epoch"', "does not give date, hour and minute"),
        ('time = "t"', 'time = "t"\ntime_form = "%Q"', "time_form: '%Q'"),
        ('time = "t"', 'time = "t"\ntime_form = "s"\nperiod = "end"', 'period belongs to time_form = "iso"'),
        ('time = "t"', 'time = "t"\nstep = "fast"', "mapping: step:"),
        ('time = "t"', 'time = "t"\nflags = { ok = "X" }', "flags: 'ok' = 'X': the flags are B, C, D, F, M, N, S, T"),
        ('time = "t"', 'time = "t"\npayload = "xml"', "payload: 'xml' is not one of 'json', 'text', 'bytes', 'hj212'"),
        ('time = "t"', 'time = "t"\npayload = "bytes"', 'binary is missing; payload = "bytes" needs it'),
        ('time = "t"', 'time = "t"\nbinary = { records = [{ tag = "01" }] }', "binary: source is missing"),
        (
            'time = "t"',
            'time = "t"\nbinary = { source = "d", records = [{ tag = "01" }, { tag = "0203" }] }',
            "binary: records: the tag '0203' is there twice, or not as long as the first",
        ),
        ('time = "t"', 'time = "t"\nsampels = "x"', "mapping: 'sampels' is not a key here; nearest: 'samples'"),
        ('"pm10", value', '"pm100", value', "values number 1: parameter: there is no parameter 'pm100'"),
        ('unit = "mg/m3"', 'unit = "degC"', "values number 1: unit: 'degC' cannot be converted to 'ug/m3'"),
        (', unit = "mg/m3"', "", "values number 1: say the unit once"),
        ('unit = "mg/m3"', 'unit_from = "u"', "values number 1: say the unit once"),
        ('unit = "mg/m3"', 'unit_from = "u", units = { a = "m" }', "'m' cannot be converted to 'ug/m3'"),
        ('unit = "mg/m3"', 'unit = "mg/m3", scale = 0.0', "scale must not be 0"),
        ('unit = "mg/m3"', 'unit = "mg/m3", sentinels = { "-1" = "N" }', "its flag must be another than N"),
        ('unit = "mg/m3"', 'unit = "mg/m3", name = "a/b"', "name: 'a/b' can be no level of a topic"),
        ("{ parameter", '{ parameter = "pm10", value = "q", unit = "mg/m3" }, { parameter', "pm10 is there twice"),
        ("sends_flags = false", "sends_flags = true", "flag is missing; sends_flags promises flags"),
        ("sends_flags = false", 'sends_flags = false\nunits = { pm10 = "ug/m3" }', "says the unit with each value"),
        ('"mapped"', '"greenmine"', 'mapping belongs to format = "mapped"'),
        ("plant/{address}/up", "plant/{adress}/up", "topics: 'plant/{adress}/up': {adress} stands for nothing"),
        (
            'id = "own"',
            'id = "own"\nzone = "Asia/Shangai"',
            "there is no time zone 'Asia/Shangai'; nearest: 'Asia/Shanghai'",
        ),
        ('id = "own"', 'id = "tasmota"', 'a profile "tasmota" ships with greenmine; choose another id'),
        (
            'id = "own"',
            'id = "own"\nbased_on = "tasmotta"',
            "no profile 'tasmotta' ships with greenmine; nearest: 'tasmota'",
        ),
    ],
)
def test_a_fault_of_a_mapping_is_told_with_file_place_and_right_form(
    directory: Path, old: str, new: str, fault: str
) -> None:
    text = OWN + MAPPING
    assert old in text
    append(directory, "profiles.toml", text.replace(old, new, 1))
    found = faults(directory)
    assert fault in found
    assert found.startswith("profiles.toml, line 1")


PLAIN = OWN + MAPPING.replace("pm10", "pm1")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('address = "17"', "", "address is missing: what tells this device from others on 'plant/{address}/up'"),
        ('"17"', '"a/b"', "address: 'a/b' has a sign that no level of a topic has"),
        ('"pm1"', '"tsp"', 'profile "own" finds no tsp (it finds: pm1); add it to the values of its mapping'),
        ('"17"', '"17"\ntopics = ["a/{x}"]', "topics: 'a/{x}': {x} stands for nothing"),
        ('"17"', '"17"\ntopics = ["greenmine/#"]', "takes messages of greenmine/v1/{site}/{device}/readings"),
        ('"17"', '"17"\ntopics = ["+/{name}/up"]', "has a {name}, so each value of the profile's mapping needs one"),
    ],
)
def test_a_fault_of_a_device_is_told(directory: Path, old: str, new: str, fault: str) -> None:
    append(directory, "profiles.toml", PLAIN)
    assert old in DEVICE
    append(directory, "sites/jiuchi.toml", DEVICE.replace(old, new, 1))
    found = faults(directory)
    assert fault in found
    assert found.startswith("sites/jiuchi.toml, line")


SECOND = DEVICE.replace('"stranger"', '"second"').replace('"reference"', '"boundary"')


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        (SECOND, "messages on 'plant/{address}/up' (17) already belong to jiuchi/stranger"),
        (
            SECOND.replace('"17"', '"18"\ntopics = ["plant/17/up"]'),
            "'plant/17/up' takes messages that 'plant/{address}/up'",
        ),
        (SECOND.replace('"17"', '"18"\ntopics = ["plant/#"]'), "'plant/#' takes messages that 'plant/{address}/up'"),
    ],
)
def test_no_message_may_belong_to_two_devices(directory: Path, second: str, fault: str) -> None:
    append(directory, "profiles.toml", PLAIN)
    append(directory, "sites/jiuchi.toml", DEVICE + second)
    assert fault in faults(directory)


def test_topics_that_differ_in_what_is_known_do_not_clash(directory: Path) -> None:
    other = SECOND.replace('"17"', '"18"\ntopics = ["plant/18/up"]')
    tables = routes(with_devices(directory, PLAIN, DEVICE, other))
    assert {table.pattern.text for table in tables} == {"plant/{address}/up", "plant/18/up"}
    assert filters(tables) == ["plant/+/up"]


def test_devices_on_one_topic_find_their_address_alike(directory: Path) -> None:
    first = PLAIN.replace("plant/{address}/up", "events").replace('time = "t"', 'time = "t"\naddress = "id"')
    second = first.replace('"own"', '"other"').replace('address = "id"', 'address = "serial"')
    append(directory, "profiles.toml", first + second)
    append(directory, "sites/jiuchi.toml", DEVICE + SECOND.replace('"own"', '"other"').replace('"17"', '"18"'))
    assert "on one topic, devices, address, payload must be the same" in faults(directory)


def test_only_values_that_a_device_has_are_subscribed_to(directory: Path) -> None:
    device = DEVICE.replace('"own"', '"esphome"').replace('["pm1"]', '["pm1", "humidity"]')
    tables = routes(with_devices(directory, "", device))
    assert sorted(filters(tables)) == ["+/sensor/humidity/state", "+/sensor/pm_1_0/state"]


def test_the_number_of_subscriptions_is_bounded(directory: Path) -> None:
    topics = ", ".join(f'"plant/{number}"' for number in range(MOST_FILTERS + 1))
    append(directory, "profiles.toml", PLAIN)
    append(directory, "sites/jiuchi.toml", DEVICE.replace('"17"', f'"17"\ntopics = [{topics}]'))
    assert f"need {MOST_FILTERS + 1} subscriptions, and {MOST_FILTERS} are the most" in faults(directory)


def test_the_default_registry_subscribes_to_nothing_more() -> None:
    assert routes(load_registry()) == []


def test_values_that_an_own_catalogue_does_not_know_are_no_fault_of_a_shipped_profile(directory: Path) -> None:
    catalogue = (DEFAULT.parent / "parameters.toml").read_text(encoding="utf-8")
    (directory / "parameters.toml").write_text(catalogue.replace('id = "pm1"', 'id = "pm-1"'), encoding="utf-8")
    device = DEVICE.replace('"own"', '"airrohr"').replace('["pm1"]', '["pm2.5"]')
    mapping = with_devices(directory, "", device).profiles["airrohr"].mapping
    assert mapping is not None
    assert "pm1" not in {value.parameter for value in mapping.values}


@pytest.mark.parametrize(
    "text",
    [
        "profiles = 3",
        "profiles = [1]",
        "[[profiles]]\nx = 1",
        "[[templates]]\nid = [1]",
        '[[profiles]]\nid = "a"\nmapping = 3',
        '[[profiles]]\nid = "a"\n[profiles.mapping]\nvalues = [1]',
    ],
)
def test_a_copy_of_the_shipped_profiles_that_holds_none_is_a_fault(directory: Path, text: str) -> None:
    (directory / "shipped-profiles.toml").write_text(text)
    assert "each has to be a table [[" in faults(directory)


@pytest.mark.parametrize("kind", [Mapping, MappedValue, Binary, Record, Part])
def test_every_key_of_a_mapping_is_documented(kind: type) -> None:
    documented = DOCS.read_text(encoding="utf-8")
    assert [name for name in kind.__struct_fields__ if f"`{name}`" not in documented] == []


@pytest.mark.parametrize("name", [*ShippedProfiles.shipped().ids, *ShippedProfiles.shipped().templates, "sparkplug-b"])
def test_every_shipped_profile_is_documented(name: str) -> None:
    assert f"`{name}`" in DOCS.read_text(encoding="utf-8")
