from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from greenmine.entries import (
    AcousticCheck,
    Calibration,
    Device,
    Document,
    Enterprise,
    Measure,
    Position,
    Profile,
    ReferenceResult,
    Site,
    Station,
    Target,
    Verification,
)
from greenmine.limits import CATALOGUE as LIMITS
from greenmine.limits import Conditions, InstrumentRule, Limit
from greenmine.loading import load_registry
from greenmine.parameters import Parameter
from greenmine.registry import DEFAULT, RegistryError

DOCS = Path(__file__).parents[2] / "docs" / "registry.md"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEFAULT, tmp_path / "registry"))


def change(directory: Path, file: str, old: str, new: str, count: int = 1) -> None:
    path = directory / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="utf-8")


def faults(directory: Path) -> tuple[str, ...]:
    with pytest.raises(RegistryError) as caught:
        load_registry(directory)
    return caught.value.faults


@pytest.mark.parametrize(
    ("site", "name", "product", "scale", "batch"),
    [
        ("jiuchi", "重庆市万州区九池乡砖瓦用页岩矿", "砖瓦用页岩", "20 万吨/年", 1),
        ("kunyin", "重庆市万州区坤银矿业有限公司", "建筑石料用灰岩", "20 万吨/年", 2),
        ("yanjing", "重庆万州西南水泥有限公司盐井周家堡矿山", "水泥用灰岩", "200 万吨/年", 2),
        ("hengjie", "重庆市万州区恒杰建材有限公司", "砖瓦用页岩", "5 万吨/年", 3),
        ("jianggao", "重庆市万州区李河镇李河村二组将皋梁砖瓦用页岩矿", "砖瓦用页岩", "20 万吨/年", 3),
    ],
)
def test_the_default_registry_holds_the_mines_of_the_plan(site: str, name: str, product: str, scale: str, batch: int):
    row = load_registry().site(site)
    assert (row.name_zh, row.product_zh, row.scale, row.batch) == (name, product, scale, batch)
    assert row.source == "万州府办发〔2017〕113号"
    assert {"降尘降噪", "数字化矿山", "“三废”利用"} <= set(row.requirement_items)
    assert len(row.requirement_items) == 10
    assert "示例" in row.note_zh
    assert "examples" in row.note_en


def test_the_cement_mine_lies_where_its_public_notice_puts_it_and_has_no_crusher():
    site = load_registry().site("yanjing")
    assert (site.position.latitude, site.position.longitude) == (30.6206, 108.4467)  # 30°37′14″ N 108°26′48″ E
    assert all("crusher" not in station.id for station in site.stations)


def test_channels_and_rules_are_numbered_through_in_the_order_of_the_files():
    registry = load_registry()
    assert [site.id for site in registry.sites] == ["jiuchi", "kunyin", "yanjing", "hengjie", "jianggao"]
    assert [channel.index for channel in registry.channels] == list(range(len(registry.channels)))
    assert [rule.index for rule in registry.rules] == list(range(len(registry.rules)))
    assert len({channel.key for channel in registry.channels}) == len(registry.channels) > 100
    assert len({rule.key for rule in registry.rules}) == len(registry.rules) > 50
    assert [channel.key for channel in registry.site_channels("jiuchi")][:6] == [
        "jiuchi/reference/tsp",
        "jiuchi/reference/pm10",
        "jiuchi/boundary/tsp",
        "jiuchi/boundary/pm10",
        "jiuchi/boundary/pm2.5",
        "jiuchi/boundary/laeq",
    ]


def test_loading_twice_gives_the_same():
    assert load_registry() == load_registry()


def test_a_rule_judges_the_channel_of_its_parameter_at_its_station():
    registry = load_registry()
    for rule in registry.rules:
        channel = registry.channels[rule.channel]
        assert (channel.site, channel.station, channel.parameter.id) == (rule.site, rule.station, rule.limit.parameter)


def test_a_difference_refers_to_the_same_parameter_at_the_other_stations():
    registry = load_registry()
    (rule,) = [rule for rule in registry.rules if rule.limit.statistic == "difference"]
    assert rule.key == "yanjing/boundary/gb4915-difference"
    assert [registry.channels[index].key for index in rule.references] == ["yanjing/reference/tsp"]


def test_a_target_is_the_legal_limit_with_its_own_value_and_kind():
    registry = load_registry()
    rules = {rule.key: rule for rule in registry.rules}
    legal = rules["jiuchi/boundary/gb29620-boundary-tsp"].limit
    own = rules["jiuchi/boundary/gb29620-boundary-tsp#target-1"].limit
    warning = rules["jiuchi/boundary/gb29620-boundary-tsp#target-2"].limit
    assert [(limit.kind, limit.thresholds[-1].high) for limit in (legal, own, warning)] == [
        ("legal", 1000),
        ("target", 800),
        ("warning", 600),
    ]
    assert own.thresholds[0].valid_from == date(2026, 1, 1)
    assert own.validity == legal.validity
    assert (
        rules["jiuchi/boundary/gb29620-boundary-tsp#target-2"].index
        == rules["jiuchi/boundary/gb29620-boundary-tsp"].index + 2
    )


@pytest.mark.parametrize(
    ("key", "scale", "offset", "interval", "sends_flags"),
    [
        ("jiuchi/boundary/tsp", 1.0, 0.0, 60_000, True),
        ("kunyin/boundary/tsp", 1000.0, 0.0, 60_000, True),
        ("jiuchi/weather/pressure", 0.1, 0.0, 60_000, False),
        ("jiuchi/receptor/pm10", 1.0, 0.0, 60_000, False),
        ("kunyin/outfall/flow", 1 / 3.6, 0.0, 900_000, False),
        ("kunyin/outfall/conductivity", 1000.0, 0.0, 900_000, False),
        ("yanjing/pond/flow", 1.0, 0.0, 900_000, True),
    ],
)
def test_a_channel_knows_how_its_device_speaks(key: str, scale: float, offset: float, interval: int, sends_flags: bool):
    channel = {channel.key: channel for channel in load_registry().channels}[key]
    assert (channel.scale, channel.offset, channel.interval, channel.sends_flags) == (
        scale,
        offset,
        interval,
        sends_flags,
    )


def test_look_ups_find_by_id():
    registry = load_registry()
    assert registry.station("jiuchi", "receptor").role == "receptor"
    assert registry.device("jiuchi", "boundary-noise").station == "boundary"
    assert list(registry.device_channels("jiuchi", "boundary-noise")) == ["laeq", "lafmax"]
    assert registry.device_channels("jiuchi", "boundary-noise")["laeq"].key == "jiuchi/boundary/laeq"


@pytest.mark.parametrize(
    ("look_up", "ids"),
    [
        ("site", ["nowhere"]),
        ("site_channels", ["nowhere"]),
        ("station", ["jiuchi", "nowhere"]),
        ("station", ["kunyin", "pond"]),
        ("device", ["jiuchi", "nothing"]),
        ("device_channels", ["jiuchi", "nothing"]),
    ],
)
def test_look_ups_of_what_is_not_there_fail(look_up: str, ids: list[str]):
    with pytest.raises(KeyError):
        getattr(load_registry(), look_up)(*ids)


BOUNDARY = 'sites/jiuchi.toml, line 45, [[stations]] number 2 "boundary"'

RESULT = """[[references]]
station = "{station}"
parameter = "tsp"
start = 2026-06-01T10:00:00+08:00
end = {end}
value = 500
laboratory = "Laboratory"
certificate = "CMA 1"
method = "GB/T 15432"
document = "report.pdf"

[[devices]]"""

CASES = {
    "unknown key": (
        "sites/jiuchi.toml",
        "noise_class",
        "noise_clas",
        [BOUNDARY, "'noise_clas' is not a key", "nearest: 'noise_class'"],
    ),
    "wrong choice": (
        "sites/jiuchi.toml",
        'role = "boundary"',
        'role = "fence"',
        [BOUNDARY, "'fence' is not one of 'reference', 'boundary'"],
    ),
    "missing key": ("sites/jiuchi.toml", 'role = "boundary"\n', "", [BOUNDARY, "role is missing; one of 'reference'"]),
    "wrong type": (
        "sites/jiuchi.toml",
        "batch = 1",
        'batch = "1"',
        ["sites/jiuchi.toml: batch: '1' does not fit", "a whole number is expected, not a text"],
    ),
    "papers of what it does not measure": (
        "sites/jiuchi.toml",
        'id = "boundary-dust"',
        'id = "boundary-dust"\nmethod = { ph = "electrode" }',
        ["boundary-dust", "method: there is no parameter of this device 'ph'"],
    ),
    "a method without a name": (
        "sites/jiuchi.toml",
        'id = "boundary-dust"',
        'id = "boundary-dust"\nmethod = { tsp = " " }',
        ["boundary-dust", "method: {'tsp': ' '} does not fit", "it must not be blank"],
    ),
    "a target that nothing can meet": (
        "sites/jiuchi.toml",
        "high = 800",
        "high = -50",
        [BOUNDARY, "targets for gb29620-boundary-tsp number 1: high -50 is no tsp that can be measured"],
    ),
    "verified until before it was": (
        "sites/jiuchi.toml",
        'id = "boundary-dust"',
        'id = "boundary-dust"\nverified = [{ valid_from = 2026-01-02, valid_to = 2026-01-01, certificate = "1" }]',
        ["boundary-dust", "verified number 1: valid_to 2026-01-01 comes before valid_from 2026-01-02"],
    ),
    "result of half an hour": (
        "sites/jiuchi.toml",
        "[[devices]]",
        RESULT.format(station="boundary", end="2026-06-01T10:30:00+08:00"),
        ["start and end must be an hour apart"],
    ),
    "result at no station": (
        "sites/jiuchi.toml",
        "[[devices]]",
        RESULT.format(station="fence", end="2026-06-01T11:00:00+08:00"),
        ["[[references]] number 1", "there is no station 'fence'"],
    ),
    "two results of an hour": (
        "sites/jiuchi.toml",
        "[[devices]]",
        2 * RESULT.format(station="boundary", end="2026-06-01T11:00:00+08:00").removesuffix("[[devices]]")
        + "[[devices]]",
        ["[[references]] number 2", "another result that ends in this hour"],
    ),
    "result below zero": (
        "sites/jiuchi.toml",
        "[[devices]]",
        RESULT.format(station="boundary", end="2026-06-01T11:00:00+08:00").replace("value = 500", "value = -5"),
        ["[[references]] number 1", "value -5 is no tsp that can be found: those lie from 0 to 20000 ug/m3"],
    ),
    "background louder than anything": (
        "sites/jiuchi.toml",
        'noise_class = "2"\n',
        'noise_class = "2"\nbackgrounds = [{ date = 2026-01-01, period = "daytime", level = 500, source = "1" }]\n',
        [BOUNDARY, "backgrounds number 1: level: 500 does not fit", "<= 160"],
    ),
    "measuring range of nothing": (
        "sites/jiuchi.toml",
        'id = "boundary-dust"',
        'id = "boundary-dust"\nmeasures_to = { tsp = 0 }',
        ["boundary-dust", "measures_to: tsp must be above 0"],
    ),
    "limit for brick works at a quarry": (
        "sites/jiuchi.toml",
        "works = true",
        "works = false",
        [BOUNDARY, "gb29620-boundary-tsp binds brick and tile works; give the site works = true"],
    ),
    "latitude": (
        "sites/jiuchi.toml",
        "latitude = 30.8604",
        "latitude = 108.3362",
        [BOUNDARY, "position: latitude: 108.3362", "<= 90"],
    ),
    "id with a slash": (
        "sites/jiuchi.toml",
        'id = "boundary"',
        'id = "boundary/east"',
        ["'boundary/east'", "lower-case letters"],
    ),
    "id with a wildcard": (
        "sites/jiuchi.toml",
        'id = "crusher"\nprofile',
        'id = "+"\nprofile',
        ["[[devices]] number 8", "'+'"],
    ),
    "same station twice": (
        "sites/jiuchi.toml",
        'id = "receptor"',
        'id = "boundary"',
        ["the id 'boundary' is already that of number 2"],
    ),
    "same device twice": (
        "sites/jiuchi.toml",
        'id = "boundary-noise"',
        'id = "boundary-dust"',
        ["[[devices]] number 3", "number 2"],
    ),
    "unknown station": (
        "sites/jiuchi.toml",
        'station = "crusher"',
        'station = "crushers"',
        ['"crusher": station', "nearest: 'crusher'"],
    ),
    "unknown profile": (
        "sites/jiuchi.toml",
        'profile = "greenmine-60s"',
        'profile = "greenmine-60"',
        ["no profile 'greenmine-60'", "nearest: 'greenmine-60s'"],
    ),
    "unknown parameter": (
        "sites/jiuchi.toml",
        '["tsp", "pm10"]',
        '["tsp", "pm100"]',
        ["no parameter 'pm100'", "nearest: 'pm10'"],
    ),
    "no parameters": (
        "sites/jiuchi.toml",
        'parameters = ["tsp", "pm10"]',
        "parameters = []",
        ['[[devices]] number 1 "reference-dust"', "parameters: [] does not fit"],
    ),
    "parameter twice": ("sites/jiuchi.toml", '["tsp", "pm10"]', '["tsp", "tsp"]', ["parameters: tsp is there twice"]),
    "served twice": (
        "sites/jiuchi.toml",
        '["laeq", "lafmax"]',
        '["laeq", "lafmax", "pm10"]',
        ['boundary/pm10 is already served by the device "boundary-dust"'],
    ),
    "no unit": (
        "sites/kunyin.toml",
        '["tsp", "pm10"]',
        '["tsp", "rain"]',
        ['"dust-mg-60s" names no unit for rain', '"rain" = "mm"'],
    ),
    "unknown limit": (
        "sites/jiuchi.toml",
        '"gb29620-boundary-tsp",',
        '"gb29620-boundary-tps",',
        [BOUNDARY, "no limit 'gb29620-boundary-tps'", "nearest: 'gb29620-boundary-tsp'"],
    ),
    "limit twice": (
        "sites/kunyin.toml",
        '"gb12348-class2-day",',
        '"gb12348-class2-night",',
        ["gb12348-class2-night is there twice"],
    ),
    "limit without its parameter": (
        "sites/jiuchi.toml",
        '"gb3095-pm2.5-day-class2"',
        '"gb3095-tsp-day-class2"',
        ['"receptor"', "judges tsp, which no device serves here (served: pm10, pm2.5, laeq)"],
    ),
    "difference without a reference": (
        "sites/yanjing.toml",
        '["tsp", "pm10"]',
        '["pm10"]',
        ["gb4915-difference is a difference and needs tsp at another station"],
    ),
    "difference without wind": (
        "sites/yanjing.toml",
        '["wind-speed", "wind-direction", ',
        "[",
        ["needs wind-speed at the site"],
    ),
    "target looser": (
        "sites/jiuchi.toml",
        "high = 800",
        "high = 1200",
        [BOUNDARY, "targets for gb29620-boundary-tsp number 1", "high 1200 is not stricter", "2026-01-01: 1000 ug/m3"],
    ),
    "target looser later": (
        "sites/jiuchi.toml",
        "high = 100\n",
        "high = 110\n",
        ["high 110 is not stricter than the legal value in force from 2031-01-01: 100 ug/m3"],
    ),
    "target on the other side": (
        "sites/jiuchi.toml",
        "high = 800",
        "low = 1",
        ["low 1 is not stricter", "there is no lower one"],
    ),
    "target without a value": (
        "sites/jiuchi.toml",
        "high = 800\n",
        "",
        ["targets for gb29620-boundary-tsp number 1: give low, high or both"],
    ),
    "target of another limit": (
        "sites/jiuchi.toml",
        'limit = "gb29620-boundary-tsp"',
        'limit = "gb16297-fugitive"',
        ["no limit of this station 'gb16297-fugitive'"],
    ),
    "target that ends before it begins": (
        "sites/jiuchi.toml",
        "high = 800\n",
        "high = 800\nvalid_to = 2025-01-01\n",
        ["valid_to 2025-01-01 comes before valid_from 2026-01-01"],
    ),
    "naive calibration": (
        "sites/jiuchi.toml",
        "2026-06-10T10:00:00+08:00",
        "2026-06-10T10:00:00",
        ["[[calibrations]] number 1: valid_from", "timezone"],
    ),
    "calibration of nothing": (
        "sites/jiuchi.toml",
        'parameter = "turbidity"',
        'parameter = "tsp"',
        ["[[calibrations]] number 1: parameter: there is no channel of outfall for 'tsp'"],
    ),
    "calibration elsewhere": (
        "sites/jiuchi.toml",
        'station = "outfall"\nparameter = "turb',
        'station = "outfal"\nparameter = "turb',
        ["no station 'outfal'", "nearest: 'outfall'"],
    ),
    "calibration to nothing": ("sites/jiuchi.toml", "slope = 1.03", "slope = 0", ["slope must be above 0"]),
    "calibration upside down": ("sites/jiuchi.toml", "slope = 1.03", "slope = -1.03", ["slope must be above 0"]),
    "unknown enterprise": (
        "sites/jiuchi.toml",
        'enterprise = "jiuchi"',
        'enterprise = "juchi"',
        ["no enterprise 'juchi'", "nearest: 'jiuchi'"],
    ),
    "unknown zone": (
        "sites/jiuchi.toml",
        "Asia/Shanghai",
        "Asia/Chongking",
        ["no time zone 'Asia/Chongking'", "'Asia/Chongqing'"],
    ),
    "zone that is a folder": ("sites/jiuchi.toml", "Asia/Shanghai", "Asia", ["no time zone 'Asia'"]),
    "other file name": (
        "sites/jiuchi.toml",
        'id = "jiuchi"',
        'id = "jiuchi2"',
        ["id 'jiuchi2' and the file's name 'jiuchi' must be the same"],
    ),
    "name of all mines": (
        "sites/jiuchi.toml",
        'id = "jiuchi"',
        'id = "district"',
        ["id: 'district' stands for all mines together"],
    ),
    "profile zone": (
        "profiles.toml",
        "Asia/Shanghai",
        "Beijing",
        ['profiles.toml, line 3, [[profiles]] number 1 "greenmine-60s"', "no time zone 'Beijing'"],
    ),
    "interval": (
        "profiles.toml",
        'interval = "60s"',
        'interval = "1 minute"',
        ["interval: '1 minute' is not a duration", "'15min'"],
    ),
    "unit of something else": (
        "profiles.toml",
        'tsp = "ug/m3"',
        'tsp = "dB"',
        ["units: tsp: 'dB' cannot be converted to 'ug/m3'"],
    ),
    "unit of an unknown parameter": (
        "profiles.toml",
        "tsp = ",
        "tps = ",
        ["units: there is no parameter 'tps'", "nearest: 'tsp'"],
    ),
    "field of an unknown parameter": (
        "profiles.toml",
        'noise = "laeq"',
        'noise = "leq"',
        ["fields: there is no parameter 'leq'", "nearest: 'laeq'"],
    ),
    "two fields for one parameter": (
        "profiles.toml",
        'noise = "laeq"',
        'noise = "laeq"\nleq = "laeq"',
        ["fields: 'noise' and 'leq' both stand for laeq"],
    ),
    "format": (
        "profiles.toml",
        'format = "senml"',
        'format = "SenML"',
        ["'SenML' is not one of 'greenmine', 'senml', 'thingsboard'"],
    ),
    "same enterprise twice": (
        "enterprises.toml",
        'id = "kunyin"',
        'id = "jiuchi"',
        ["enterprises.toml", "the id 'jiuchi' is already that of number 1"],
    ),
    "not TOML": ("enterprises.toml", "name_zh =", "name_zh", ["enterprises.toml: is not valid TOML", "line 5"]),
    "TOML of many levels": (
        "enterprises.toml",
        "name_zh =",
        "a = " + "[" * 5_000,
        ["is not valid TOML: maximum recursion"],
    ),
    "TOML of many digits": (
        "enterprises.toml",
        "name_zh =",
        f"a = {'9' * 5_000}\nb =",
        ["is not valid TOML: Exceeds the limit"],
    ),
    "top level": (
        "enterprises.toml",
        "[[enterprises]]",
        "[[enterprise]]",
        ["'enterprise' is not a key here; nearest: 'enterprises'"],
    ),
}


@pytest.mark.parametrize(("file", "old", "new", "expected"), CASES.values(), ids=CASES.keys())
def test_a_fault_is_named_with_its_place_and_the_right_form(
    directory: Path, file: str, old: str, new: str, expected: list[str]
):
    change(directory, file, old, new)
    assert [fault for fault in faults(directory) if all(part in fault for part in [file, *expected])] != []


def test_readings_further_apart_than_the_windows_of_a_limit_are_refused(directory: Path):
    profile = 'id = "greenmine-60s"\nformat = "greenmine"\nzone = "Asia/Shanghai"\ninterval = '
    change(directory, "profiles.toml", profile + '"60s"', profile + '"2h"')
    said = 'gb29620-boundary-tsp judges windows of hour, and the device "boundary-dust" sends tsp every 7200 s'
    assert [fault for fault in faults(directory) if BOUNDARY in fault and said in fault] != []


def test_all_faults_are_reported_at_once(directory: Path):
    change(directory, "sites/jiuchi.toml", 'role = "boundary"', 'role = "fence"')
    change(directory, "sites/kunyin.toml", '"gb12348-class2-day"', '"gb12348-class7-day"')
    change(directory, "profiles.toml", 'interval = "1s"', 'interval = "soon"')
    change(directory, "enterprises.toml", 'name_en = "Kunyin Mining"', 'name = "Kunyin Mining"')
    found = faults(directory)
    parts = [
        "'fence' is not one of",
        "no limit 'gb12348-class7-day'",
        "'soon' is not a duration",
        "name_en is missing",
        "'name' is not a key",
    ]
    assert [sum(part in fault for fault in found) for part in parts] == [1, 1, 1, 1, 1]
    assert len(found) == len(parts)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("profiles.toml", 'interval = "900s"\nsends_flags = true', 'interval = "x"\nsends_flags = true'),
        ("sites/jiuchi.toml", 'role = "outfall"', 'role = "drain"'),
        ("sites/yanjing.toml", 'station = "weather"\n', "station = 3\n"),
    ],
)
def test_one_mistake_is_one_fault(directory: Path, file: str, old: str, new: str):
    change(directory, file, old, new)
    assert len(faults(directory)) == 1


def test_a_target_may_equal_the_legal_value_and_outlive_no_stricter_one(directory: Path):
    change(directory, "sites/jiuchi.toml", "high = 100\n", "high = 120\nvalid_to = 2030-12-31\n")
    rules = {rule.key: rule for rule in load_registry(directory).rules}
    assert rules["jiuchi/receptor/gb3095-pm10-day-class2#target-1"].limit.thresholds[0].high == 120


def test_a_lower_limit_takes_a_higher_target_and_refuses_a_lower_one(directory: Path):
    target = '[[stations.targets]]\nlimit = "gb3838-class3-do"\nlow = 6\nvalid_from = 2026-01-01\nsource = "x"\n'
    change(directory, "sites/jiuchi.toml", '"gb8978-nh3-n-level1",\n]\n', f'"gb3838-class3-do",\n]\n{target}')
    rules = {rule.key: rule for rule in load_registry(directory).rules}
    assert rules["jiuchi/outfall/gb3838-class3-do#target-1"].limit.thresholds[0].low == 6
    change(directory, "sites/jiuchi.toml", "low = 6", "low = 4")
    assert [fault for fault in faults(directory) if "low 4 is not stricter" in fault] != []


@pytest.mark.parametrize("file", ["enterprises.toml", "profiles.toml"])
def test_a_missing_file_is_named(directory: Path, file: str):
    (directory / file).unlink()
    assert [fault for fault in faults(directory) if file in fault and "cannot be read" in fault] != []


def test_a_directory_without_sites_is_no_registry(directory: Path):
    shutil.rmtree(directory / "sites")
    assert [fault for fault in faults(directory) if "no sites/*.toml" in fault] != []


def test_a_path_that_is_no_directory_says_what_a_registry_is(tmp_path: Path):
    expected = "is not a directory; a registry is a directory with enterprises.toml, profiles.toml and sites/*.toml"
    assert faults(tmp_path / "nowhere") == (f"{tmp_path / 'nowhere'} {expected}",)


def test_the_digest_changes_with_any_file_and_only_then(directory: Path):
    before = load_registry(directory).digest
    assert before == load_registry().digest
    changed = []
    for file in sorted(path.relative_to(directory) for path in directory.rglob("*.toml")):
        with (directory / file).open("a", encoding="utf-8") as stream:
            stream.write("# a remark\n")
        changed.append(load_registry(directory).digest)
    assert len({before, *changed}) == 8


def test_a_registry_may_bring_its_own_catalogue_of_limits(directory: Path):
    text = LIMITS.read_text(encoding="utf-8")
    (directory / "limits.toml").write_text(text.replace("night_start = 22", "night_start = 23"), encoding="utf-8")
    registry = load_registry(directory)
    assert registry.conditions.night_start == 23
    assert registry.digest != load_registry().digest


def test_the_documented_examples_make_a_registry(tmp_path: Path):
    profile, site = [text.split("```")[0] for text in DOCS.read_text(encoding="utf-8").split("```toml")[1:]]
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "example.toml").write_text(site, encoding="utf-8")
    (tmp_path / "profiles.toml").write_text(profile, encoding="utf-8")
    enterprise = '[[enterprises]]\nid = "example"\nname_zh = "示例"\nname_en = "Example"\n'
    (tmp_path / "enterprises.toml").write_text(enterprise, encoding="utf-8")
    registry = load_registry(tmp_path)
    assert [(channel.key, channel.scale) for channel in registry.channels] == [("example/boundary/tsp", 1000.0)]
    assert [rule.limit.kind for rule in registry.rules] == ["legal", "warning"]


@pytest.mark.parametrize(
    "kind",
    [
        Enterprise,
        Site,
        Position,
        Station,
        Target,
        Device,
        Profile,
        Calibration,
        Verification,
        AcousticCheck,
        ReferenceResult,
        InstrumentRule,
        Measure,
        Document,
        Parameter,
        Limit,
        Conditions,
    ],
)
def test_every_key_is_documented(kind: type):
    documented = DOCS.read_text(encoding="utf-8")
    assert [name for name in kind.__struct_fields__ if f"`{name}`" not in documented] == []


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from greenmine.cli.registry import app; app(sys.argv[1:])"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GREENMINE_")}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=environment,
    )


def test_check_sums_up_a_sound_registry():
    ran = command("check")
    assert ran.returncode == 0, ran.stderr
    assert "5 enterprises, 5 sites" in ran.stdout
    assert load_registry().digest in ran.stdout


def test_check_prints_all_faults_and_fails(directory: Path):
    change(directory, "sites/jiuchi.toml", 'role = "boundary"', 'role = "fence"')
    change(directory, "profiles.toml", 'interval = "1s"', 'interval = "soon"')
    ran = command("check", directory)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "'fence' is not one of" in ran.stderr
    assert "'soon' is not a duration" in ran.stderr
    assert "2 faults in the registry." in ran.stderr


def test_list_gives_the_sites_as_json():
    ran = command("list", "--format", "json")
    assert ran.returncode == 0, ran.stderr
    rows = json.loads(ran.stdout)
    assert [row["site"] for row in rows] == ["jiuchi", "kunyin", "yanjing", "hengjie", "jianggao"]
    assert rows[2]["name"] == "重庆万州西南水泥有限公司盐井周家堡矿山"
    assert rows[2]["enterprise"] == "wanzhou-xinan-cement"
    assert rows[2]["product"] == "水泥用灰岩"
    assert "pond" in rows[2]["stations"]


def test_list_shows_whole_names_as_text():
    ran = command("list")
    assert ran.returncode == 0, ran.stderr
    assert all(site.id in ran.stdout for site in load_registry().sites)
    assert "…" not in ran.stdout


def test_list_reads_another_registry(directory: Path):
    for site in ("kunyin", "yanjing", "hengjie", "jianggao"):
        (directory / "sites" / f"{site}.toml").unlink()
    ran = command("list", "--registry", directory, "--format", "json")
    assert [row["site"] for row in json.loads(ran.stdout)] == ["jiuchi"]
