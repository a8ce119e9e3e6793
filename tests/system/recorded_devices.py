"""A registry whose devices are those of the recorded MQTT messages: shipped profiles, and own ones for what they leave open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from greenmine.parameters import CATALOGUE
from tests.pit import device, write_pit


class Case(NamedTuple):
    """What the registry says for one recorded message.

    ``found`` maps what the case calls a value to our parameter and the factor to its unit; ``time`` is the instant expected
    [ms UTC], None for the time of receipt; ``expected`` stands where the case's own expectation is not a table of numbers.
    """

    id: str
    profile: str
    found: dict[str, tuple[str, float]]
    time: int | None = None
    address: str = ""
    topics: Sequence[str] = ()
    expected: dict[str, float] | None = None


_AIRROHR = {
    "SDS_P1": ("pm10", 1.0),
    "SDS_P2": ("pm2.5", 1.0),
    "BME280_temperature": ("air-temperature", 1.0),
    "BME280_humidity": ("humidity", 1.0),
    "BME280_pressure": ("pressure", 0.001),
}
_GENERIC = {
    "PM1": ("pm1", 1.0),
    "PM2.5": ("pm2.5", 1.0),
    "PM10": ("pm10", 1.0),
    "temperature_C": ("air-temperature", 1.0),
    "humidity_pct": ("humidity", 1.0),
    "pressure_Pa": ("pressure", 0.001),
}

CASES = (
    Case(
        "airgradient-open-air",
        "airgradient",
        {name: _GENERIC[name] for name in ("PM1", "PM2.5", "PM10", "temperature_C", "humidity_pct")},
        address="ecda3b1eaaaf",
    ),
    Case("airrohr-nrz-2018-123b", "airrohr", _AIRROHR, address="12041741"),
    Case(
        "airrohr-nrz-2020-129",
        "airrohr",
        {name: _GENERIC[name] for name in ("PM10", "PM2.5", "temperature_C", "pressure_Pa", "humidity_pct")},
        address="12331981",
    ),
    Case(
        "airrohr-pms-numeric-values", "airrohr", {n: _GENERIC[n] for n in ("PM1", "PM10", "PM2.5")}, address="pms-demo"
    ),
    Case(
        "airrohr-dnms-noise",
        "airrohr-with-minimum",
        {"LAeq": ("laeq", 1.0), "LA_max": ("lafmax", 1.0), "LA_min": ("la-minimum", 1.0)},
        address="dnms",
    ),
    Case("esphome-number", "esphome", {"value": ("pm10", 1.0)}, address="dust-node"),
    Case(
        "tasmota-sds0x1-bme280",
        "tasmota-utc",
        {
            "temperature": ("air-temperature", 1.0),
            "humidity": ("humidity", 1.0),
            "pressure": ("pressure", 0.1),
            "PM2.5": ("pm2.5", 1.0),
            "PM10": ("pm10", 1.0),
        },
        time=1684631198000,
        address="node_mcu_terrace",
        expected={"temperature": 20.5, "humidity": 53.1, "pressure": 977.0, "PM2.5": 11.8, "PM10": 5.8},
    ),
    Case(
        "tasmota-pms5003-zeros",
        "tasmota-utc",
        {"PM1": ("pm1", 1.0), "PM2.5": ("pm2.5", 1.0), "PM10": ("pm10", 1.0)},
        time=1582774042000,
        address="tasmota",
        expected={"PM1": 0, "PM2.5": 1, "PM10": 1},
    ),
    Case(
        "tasmota-sonoff-sc-noise",
        "tasmota-berlin",
        {"SonoffSC.Temperature": ("air-temperature", 1.0), "SonoffSC.Humidity": ("humidity", 1.0)},
        time=1559506387000,
        topics=["mqttkit-1/itest/foo/bar/tele/SENSOR"],
    ),
    Case(
        "chirpstack-v4-dragino-lse01",
        "soil-probe",
        {
            "BatV": ("battery-voltage", 1.0),
            "temp_SOIL": ("soil-temperature", 1.0),
            "water_SOIL_f": ("soil-moisture", 1.0),
            "conduct_SOIL": ("conductivity", 1.0),
        },
        time=1718873318863,
        address="a8404187d187106e",
    ),
    Case(
        "ttn-v3-uplink-full",
        "cayenne",
        {
            "analog_in_1": ("analog-1", 1.0),
            "analog_in_2": ("analog-2", 1.0),
            "analog_in_3": ("analog-3", 1.0),
            "relative_humidity_2": ("humidity", 1.0),
            "temperature_2": ("air-temperature", 1.0),
            "temperature_3": ("water-temperature", 1.0),
        },
        time=1642618954007,
        address="foo-bar-baz",
    ),
    Case(
        "milesight-ws302-sound-level",
        "ws302-with-battery",
        {"battery": ("battery", 1.0), "LAF": ("laf", 1.0), "LAeq": ("laeq", 1.0), "LAFmax": ("lafmax", 1.0)},
        time=1795312800000,
        address="24e124743c000001",
    ),
    Case(
        "milesight-wts506-weather",
        "wts506-with-rain",
        {
            "wind_direction": ("wind-direction", 1.0),
            "pressure": ("pressure", 0.1),
            "wind_speed": ("wind-speed", 1.0),
            "rainfall_total": ("rain-total", 1.0),
            "rainfall_counter": ("rain-count", 1.0),
        },
        time=1795312800000,
        address="24e124743c000002",
    ),
    Case(
        "sensorthings-observation",
        "datastreams",
        {"result": ("air-temperature", 1.0)},
        time=1486490520000,
        expected={"result": 21.6},
    ),
    Case(
        "alibaba-property-post",
        "light-switch",
        {"LightSwitch": ("equipment-state", 1.0)},
        address="phone",
        expected={"LightSwitch": 1},
    ),
    Case(
        "hj212-frame-as-text",
        "hj212-text",
        {"a34004": ("pm2.5", 1.0), "a34002": ("pm10", 1.0), "LA": ("laf", 1.0), "a01008": ("wind-direction", 1.0)},
        time=1534832709000,
        address="station",
        expected={"a34004": 0, "a34002": 0, "LA": 0, "a01008": 0},
    ),
    Case("plain-number", "plain", {"value": ("pm10", 1.0)}, address="line1"),
    Case(
        "rtl433-fineoffset-battery-low",
        "fineoffset",
        {"wind_speed_m_s": ("wind-speed", 1.0)},
        time=1620480478000,
        address="202",
    ),
    Case(
        "rtl433-bresser-7in1",
        "bresser",
        {
            "t": ("air-temperature", 1.0),
            "rh": ("humidity", 1.0),
            "v": ("wind-speed", 1.0),
            "d": ("wind-direction", 1.0),
        },
        time=1686496145000,
        address="50437",
        expected={"t": 23.5, "rh": 67, "v": 0.0, "d": 102},
    ),
    Case("senml-single", "senml-pack", {"v": ("air-temperature", 1.0)}, address="", topics=["sensors/senml"]),
    Case(
        "water-probe-scaled-integers",
        "water-probe",
        {
            "moisture_pct": ("soil-moisture", 1.0),
            "temperature_C": ("water-temperature", 1.0),
            "conductivity_uS_cm": ("conductivity", 1.0),
            "pH": ("ph", 1.0),
        },
        address="Test01",
    ),
    Case("watermeter-text-values", "water-meter", {"value": ("water-meter", 1.0)}, time=1714675314000),
    Case(
        "thingsboard-ts-values",
        "board",
        {"temperature": ("air-temperature", 1.0), "humidity": ("humidity", 1.0)},
        time=1451649600512,
        expected={"temperature": 42, "humidity": 73},
    ),
)
"""One reading of each parameter from each message; the rest is in the tests."""

EXTRA = {
    "battery": ("%", "arithmetic"),
    "battery-voltage": ("V", "arithmetic"),
    "la-minimum": ("dB(A)", "energy"),
    "soil-temperature": ("degC", "arithmetic"),
    "soil-moisture": ("%", "arithmetic"),
    "analog-1": ("1", "arithmetic"),
    "analog-2": ("1", "arithmetic"),
    "analog-3": ("1", "arithmetic"),
    "rain-total": ("mm", "maximum"),
    "rain-count": ("1", "maximum"),
    "water-meter": ("m3", "maximum"),
    "voltage": ("V", "arithmetic"),
    "current": ("A", "arithmetic"),
}
"""Parameters that no mine is judged by; an installation adds such to its own catalogue."""

PROFILES = """
[[profiles]]
id = "tasmota-utc"
based_on = "tasmota"
zone = "UTC"

[[profiles]]
id = "tasmota-berlin"
based_on = "tasmota"
zone = "Europe/Berlin"

[[profiles]]
id = "airrohr-with-minimum"
based_on = "airrohr"
[profiles.mapping]
values = [
  { parameter = "la-minimum", value = "sensordatavalues[?value_type=='DNMS_noise_LA_min'].value", unit = "dB(A)" },
]

[[profiles]]
id = "soil-probe"
based_on = "chirpstack-v4"
interval = "20min"
[profiles.mapping]
values = [
  { parameter = "battery-voltage", value = "object.BatV", unit = "V" },
  { parameter = "soil-temperature", value = "object.temp_SOIL", unit = "degC" },
  { parameter = "soil-moisture", value = "object.water_SOIL_f", unit = "%" },
  { parameter = "conductivity", value = "object.conduct_SOIL", unit = "uS/cm" },
]

[[profiles]]
id = "cayenne"
based_on = "ttn-v3"
interval = "15min"
[profiles.mapping]
values = [
  { parameter = "analog-1", value = "uplink_message.decoded_payload.analog_in_1", unit = "1" },
  { parameter = "analog-2", value = "uplink_message.decoded_payload.analog_in_2", unit = "1" },
  { parameter = "analog-3", value = "uplink_message.decoded_payload.analog_in_3", unit = "1" },
  { parameter = "humidity", value = "uplink_message.decoded_payload.relative_humidity_2", unit = "%" },
  { parameter = "air-temperature", value = "uplink_message.decoded_payload.temperature_2", unit = "degC" },
  { parameter = "water-temperature", value = "uplink_message.decoded_payload.temperature_3", unit = "degC" },
]

[[profiles]]
id = "ws302-with-battery"
based_on = "milesight-ws302"
[profiles.mapping]
values = [{ parameter = "battery", value = "binary.battery", unit = "%" }]

[[profiles]]
id = "ws302-bytes"
based_on = "milesight-ws302"
receive_time = true
topics = ["raw/{address}"]
[profiles.mapping]
payload = "bytes"
values = []

[[profiles]]
id = "wts506-with-rain"
based_on = "milesight-wts506"
[profiles.mapping]
values = [
  { parameter = "rain-total", value = "binary.rain_total", unit = "mm", scale = 0.01 },
  { parameter = "rain-count", value = "binary.rain_count", unit = "1" },
]

[[profiles]]
id = "datastreams"
based_on = "sensorthings"
interval = "60s"
[profiles.mapping]
values = [{ parameter = "air-temperature", name = "1", value = "result", unit = "degC" }]

[[profiles]]
id = "light-switch"
format = "mapped"
interval = "60s"
sends_flags = false
receive_time = true
topics = ["/sys/+/{address}/thing/event/property/post"]
[profiles.mapping]
values = [{ parameter = "equipment-state", value = "params.LightSwitch", unit = "1" }]

[[profiles]]
id = "hj212-text"
format = "mapped"
interval = "60s"
sends_flags = false
topics = ["hj212/{address}/up"]
[profiles.mapping]
payload = "hj212"
time = "time"
values = [
  { parameter = "pm2.5", value = "values[?code=='a34004' && kind=='Rtd'].value", unit = "ug/m3" },
  { parameter = "pm10", value = "values[?code=='a34002' && kind=='Rtd'].value", unit = "ug/m3" },
  { parameter = "laf", value = "values[?code=='LA' && kind=='Rtd'].value", unit = "dB" },
  { parameter = "wind-direction", value = "values[?code=='a01008' && kind=='Rtd'].value", unit = "deg" },
]

[[profiles]]
id = "plain"
format = "mapped"
interval = "60s"
sends_flags = false
receive_time = true
topics = ["plant/{address}/{name}"]
[profiles.mapping]
payload = "text"
values = [{ parameter = "pm10", name = "pm10", value = "@", unit = "ug/m3" }]

[[profiles]]
id = "fineoffset"
format = "mapped"
zone = "Europe/Berlin"
interval = "60s"
sends_flags = false
topics = ["rtl_433/+/events"]
[profiles.mapping]
address = "id"
time = "time"
values = [{ parameter = "wind-speed", value = "wind_avg_km_h", unit = "km/h" }]

[[profiles]]
id = "bresser"
format = "mapped"
zone = "Europe/Berlin"
interval = "60s"
sends_flags = false
topics = ["rtl_433/+/events"]
[profiles.mapping]
address = "id"
time = "time"
values = [
  { parameter = "air-temperature", value = "temperature_C", unit = "degC" },
  { parameter = "humidity", value = "humidity", unit = "%" },
  { parameter = "wind-speed", value = "wind_avg_m_s", unit = "m/s" },
  { parameter = "wind-direction", value = "wind_dir_deg", unit = "deg" },
]

[[profiles]]
id = "senml-pack"
format = "senml"
zone = "UTC"
interval = "1s"
sends_flags = false
receive_time = true
units = { air-temperature = "Cel", voltage = "V", current = "A" }
fields = { "urn:dev:ow:10e2073a01080063" = "air-temperature" }

[[profiles]]
id = "water-probe"
format = "mapped"
interval = "60s"
sends_flags = false
receive_time = true
topics = ["water/{address}/up"]
[profiles.mapping]
values = [
  { parameter = "soil-moisture", value = "Wa", unit = "%", scale = 0.1 },
  { parameter = "water-temperature", value = "Te", unit = "degC", scale = 0.1 },
  { parameter = "conductivity", value = "Us", unit = "uS/cm" },
  { parameter = "ph", value = "Ph", unit = "pH", scale = 0.1 },
]

[[profiles]]
id = "water-meter"
format = "mapped"
interval = "5min"
sends_flags = true
topics = ["watermeter/main/json"]
[profiles.mapping]
time = "timestamp"
flag = "error"
flags = { "no error" = "N" }
values = [{ parameter = "water-meter", value = "value", unit = "m3" }]

[[profiles]]
id = "board"
format = "thingsboard"
zone = "UTC"
interval = "60s"
sends_flags = false
receive_time = true
topics = ["v1/devices/me/telemetry"]
units = { air-temperature = "degC", humidity = "%" }
fields = { temperature = "air-temperature" }

[[profiles]]
id = "keyed-by-time"
format = "mapped"
interval = "10s"
sends_flags = false
topics = ["mqttkit-1/itest/foo/bar/tc.json"]
[profiles.mapping]
samples = "items(@)"
time = "[0]"
time_form = "s"
values = [
  { parameter = "air-temperature", value = "[1].temperature", unit = "degC" },
  { parameter = "humidity", value = "[1].humidity", unit = "%" },
]

[[profiles]]
id = "smart-citizen"
format = "mapped"
zone = "UTC"
interval = "5min"
sends_flags = false
topics = ["device/sck/{address}/readings"]
[profiles.mapping]
samples = "data"
time = "recorded_at"
values = [{ parameter = "air-temperature", value = "sensors[?id==`1`].value", unit = "degC" }]
"""

OTHERS = (
    Case("senml-rfc8428-multiple", "senml-pack", {}, topics=["elsewhere/senml"]),
    Case("timestamp-keyed-batch", "keyed-by-time", {}),
    Case("smartcitizen-readings", "smart-citizen", {}, address="device_token"),
    Case("no-zone", "tasmota", {}, address="no-zone"),
    Case("ws302-bytes", "ws302-bytes", {}, address="24e124743c000001"),
)
"""Devices whose messages give several readings of a parameter, or none."""

_MEASURED = {
    "senml-rfc8428-multiple": ("voltage", "current"),
    "timestamp-keyed-batch": ("air-temperature", "humidity"),
    "smartcitizen-readings": ("air-temperature",),
    "no-zone": ("air-temperature", "humidity", "pressure", "pm2.5", "pm10"),
    "ws302-bytes": ("laeq",),
}


def write_registry(directory: Path) -> Path:
    """Write the registry of all cases into a directory."""
    write_pit(directory, PROFILES, [_device(case) for case in (*CASES, *OTHERS)])
    extra = "".join(_parameter(name, unit, averaging) for name, (unit, averaging) in EXTRA.items())
    (directory / "parameters.toml").write_text(CATALOGUE.read_text(encoding="utf-8") + extra, encoding="utf-8")
    return directory


def _device(case: Case) -> str:
    parameters = [name for name, _ in case.found.values()] or list(_MEASURED[case.id])
    return device(case.id, case.profile, parameters, f'address = "{case.address}"\ntopics = {list(case.topics)}')


def _parameter(name: str, unit: str, averaging: str) -> str:
    return f"""
[[parameters]]
id = "{name}"
name_zh = "{name}"
name_en = "{name}"
symbol = "{name}"
unit = "{unit}"
averaging = "{averaging}"
low = -1000
high = 100000
decimals = 2
hj212 = "-"
theme = "equipment"
source = "a test"
"""
