from __future__ import annotations

import subprocess
import sys

import pytest

from greenmine.parameters import load_parameters
from greenmine.units import UnitError, conversion, normal_unit


@pytest.mark.parametrize(
    ("sent", "canonical", "value", "expected"),
    [
        ("mg/m3", "ug/m3", 0.081, 81.0),
        ("mg/m^3", "ug/m3", 0.081, 81.0),
        ("ng/m3", "ug/m3", 81_000.0, 81.0),
        ("µg/m³", "ug/m3", 81.0, 81.0),
        ("μg/m3", "ug/m3", 81.0, 81.0),
        ("degF", "degC", 212.0, 100.0),
        ("K", "degC", 273.15, 0.0),
        ("℃", "degC", 21.5, 21.5),
        ("Cel", "degC", 21.5, 21.5),
        ("1", "%", 0.55, 55.0),
        ("%RH", "%", 55.0, 55.0),
        ("%", "1", 55.0, 0.55),
        ("pH", "1", 7.1, 7.1),
        ("hPa", "kPa", 1002.0, 100.2),
        ("mS/cm", "uS/cm", 1.5, 1500.0),
        ("S/m", "uS/cm", 0.05, 500.0),
        ("m3/h", "L/s", 36.0, 10.0),
        ("L/min", "L/s", 60.0, 1.0),
        ("km/h", "m/s", 36.0, 10.0),
        ("cm", "mm", 1.2, 12.0),
        ("dB", "dB(A)", 55.1, 55.1),
        ("dBA", "dB(A)", 55.1, 55.1),
        ("dB（A）", "dB(A)", 55.1, 55.1),
        ("NTU", "NTU", 12.0, 12.0),
    ],
)
def test_a_value_sent_becomes_the_canonical_one(sent: str, canonical: str, value: float, expected: float):
    scale, offset = conversion(sent, canonical)
    assert scale * value + offset == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_factors_are_exact_where_they_can_be():
    assert conversion("mg/m3", "ug/m3") == (1000.0, 0.0)
    assert conversion("K", "degC") == (1.0, -273.15)


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ("ppm", "mg/L"),
        ("dB", "ug/m3"),
        ("", "ug/m3"),
        ("m/s", "deg"),
        ("((", "m/s"),
        ("5 mg/m3", "ug/m3"),
        ("FNU", "NTU"),
        ("__import__('os')", "m/s"),
        ("ug/m3**9**9**9", "ug/m3"),
        ("9**(9**9)*ug/m3", "ug/m3"),
        ("ug/m^999", "ug/m3"),
    ],
)
def test_a_unit_that_does_not_fit_is_refused_with_the_right_one(sent: str, canonical: str):
    with pytest.raises(UnitError) as caught:
        conversion(sent, canonical)
    assert repr(sent) in str(caught.value)
    assert repr(canonical) in str(caught.value)


def test_every_parameter_has_a_unit_that_can_be_converted():
    parameters = load_parameters()
    units = {parameter.unit for parameter in parameters.values()}
    assert units == {"ug/m3", "dB(A)", "1", "mg/L", "NTU", "uS/cm", "degC", "L/s", "m/s", "deg", "%", "kPa", "mm"}
    assert [normal_unit(unit) for unit in sorted(units)] == sorted(units)


def test_same_units_do_not_load_pint():
    code = (
        "import sys; from greenmine.units import conversion; conversion('µg/m³', 'ug/m3'); print('pint' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
