"""A plan is checked at start; every fault is named."""

from __future__ import annotations

import pytest

from greenmine.uplink.plan import PlanError, load_plan
from tests.uplink.uplink_site import DUST, NOISE, WORD, plan_of

ENVIRONMENT = {"UPLINK_WORD": WORD}


def test_a_plan_becomes_routes_in_the_units_and_codes_of_the_platform(registry, tmp_path):
    (route,) = load_plan(plan_of(tmp_path, 9212), registry, ENVIRONMENT)
    tsp, pm10 = route.columns
    assert (tsp.code, tsp.scale, tsp.decimals) == ("a34001", 1000.0, 4)
    assert (pm10.code, pm10.scale, pm10.decimals) == ("a34002", 1.0, 1)
    assert (route.sender.version, route.rtd, route.minutes, route.terms.overtime) == (2017, 60_000, 600_000, 10.0)
    assert route.sender.password.reveal() == WORD
    assert WORD not in repr(route)


def test_the_standard_says_how_long_to_wait_where_the_plan_does_not(registry, tmp_path):
    path = plan_of(tmp_path, 9212)
    text = path.read_text()
    path.write_text(text.replace("overtime = 10\n", "").replace("recount = 3\n", ""))
    (route,) = load_plan(path, registry, ENVIRONMENT)
    assert (route.terms.overtime, route.terms.recount) == (10.0, 3)


def test_a_password_may_stand_in_a_file_beside_the_plan(registry, tmp_path):
    path = plan_of(tmp_path, 9212)
    path.write_text(path.read_text().replace('password_env = "UPLINK_WORD"', 'password_file = "word"'))
    (tmp_path / "word").write_text("ghijkl\n")
    (route,) = load_plan(path, registry, {})
    assert route.sender.password.reveal() == "ghijkl"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('site = "mine"', 'site = "main"', "nearest: 'mine'"),
        ('station = "south"', 'station = "north"', "nearest: 'south/tsp'"),
        ("port = 9212", "port = 0", "port"),
        (
            "port = 9212",
            "port = 9212\nrtd_intervall = 60",
            "'rtd_intervall' is not a key here; nearest: 'rtd_interval'",
        ),
        ('mn = "AABBCCDDEEFF001122334455"', 'mn = "AA;BB"', "mn"),
        ('st = "39"', 'st = "construction"', "st"),
        ("version = 2017", "version = 2005", "version"),
        ("min_interval = 10", "min_interval = 7", "min_interval 7 is not one of 1, 2, 3"),
        ('wait = "1ms"', 'wait = "soon"', "is not a duration"),
        ('wait = "1ms"', "rtd_interval = 5", "rtd_interval 5 is not from 30 to 3600 seconds"),
        ("recount = 3", "recount = 0", "recount"),
        ('password_env = "UPLINK_WORD"', "", "either password_env or password_file"),
        ('password_env = "UPLINK_WORD"', 'password_env = "NOT_THERE"', "NOT_THERE holds no password; it is not there"),
        ('password_env = "UPLINK_WORD"', 'password_file = "none"', "the file none holds no password"),
        ('password_env = "UPLINK_WORD"', 'password_env = "LONG"', "LONG holds no password of HJ 212: 1 to 6 signs"),
        ('unit = "mg/m3"', 'unit = "dB"', "cannot be converted"),
        ('unit = "mg/m3"', 'code = "a34002"', "the code a34002 is that of two factors"),
        ('unit = "mg/m3"', 'code = "a;b"', "'a;b' is no factor code"),
        ("longest_pause = 0.3", "heartbeat = 60", "heartbeat needs version = 2025"),
        (
            'station = "south"',
            'station = "yard"\nparameter = "equipment-state"\n[[feeds.factors]]\nstation = "south"',
            "such as SB1",
        ),
        ("longest_pause = 0.3", 'ca = "ca.pem"', "ca needs tls = true"),
        ("longest_pause = 0.3", 'tls = true\nca = "ca.pem"', "ca ca.pem cannot be read"),
    ],
)
def test_a_fault_is_named_with_what_would_be_right(registry, tmp_path, old, new, told):
    path = plan_of(tmp_path, 9212)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(PlanError) as caught:
        load_plan(path, registry, ENVIRONMENT | {"LONG": "abcdefghij"})
    assert told in str(caught.value)
    assert "uplink.toml" in str(caught.value)
    assert "abcdefghij" not in str(caught.value)


def test_all_faults_are_named_at_once(registry, tmp_path):
    path = plan_of(tmp_path, 9212, DUST.replace("tsp", "tps").replace("pm10", "pm1"))
    with pytest.raises(PlanError) as caught:
        load_plan(path, registry, {})
    assert len(caught.value.faults) == 3


def test_minutes_of_noise_are_those_of_one_minute_in_2025(registry, tmp_path):
    with pytest.raises(PlanError, match="min_interval 10 is not one of 1 for noise of 2025"):
        load_plan(plan_of(tmp_path, 9212, NOISE, version=2025), registry, ENVIRONMENT)


def test_a_number_is_given_once_to_a_platform(registry, tmp_path):
    path = plan_of(tmp_path, 9212)
    again = plan_of(tmp_path, 9212, id="again").read_text()
    path.write_text(plan_of(tmp_path, 9212).read_text() + again)
    with pytest.raises(PlanError, match="already that of 'dust'"):
        load_plan(path, registry, ENVIRONMENT)


@pytest.mark.parametrize(
    ("text", "told"), [("", "has no"), ("feeds = 3", "must be an array"), ("[[feeds", "not valid TOML")]
)
def test_a_file_that_is_no_plan_is_refused(registry, tmp_path, text, told):
    path = tmp_path / "uplink.toml"
    path.write_text(text)
    with pytest.raises(PlanError, match=told):
        load_plan(path, registry, ENVIRONMENT)


def test_a_plan_that_is_not_there_is_said_to_be_missing(registry, tmp_path):
    with pytest.raises(PlanError, match="cannot be read"):
        load_plan(tmp_path / "none.toml", registry, ENVIRONMENT)
