"""Units that devices send, as a factor and an offset to the unit in which a parameter is kept."""

from __future__ import annotations

import math
import re
import unicodedata
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # takes 0.3 s, and is seldom needed
    import pint

_ALIASES: Final = {
    "": "1",
    "pH": "1",
    "dB": "dB(A)",
    "dBA": "dB(A)",
    "dB A": "dB(A)",
    "%RH": "%",
    "Cel": "degC",
    "C": "degC",
    "°C": "degC",
    "°F": "degF",
    "°": "deg",
}
"""Other spellings, after NFKC and with ``u`` for micro: HJ 212 writes dB, SenML (RFC 8428) writes Cel, %RH and pH."""

_DEFINITIONS: Final = """
nano- = 1e-9 = n-
micro- = 1e-6 = u-
milli- = 1e-3 = m-
centi- = 1e-2 = c-
hecto- = 100 = h-
kilo- = 1000 = k-
meter = [length] = m
gram = [mass] = g
second = [time] = s
ampere = [current] = A
minute = 60 * second = min
hour = 3600 * second = h
day = 86400 * second = d
newton = kilogram * meter / second**2 = N
pascal = newton / meter**2 = Pa
bar = 100000 * pascal = bar
atmosphere = 101325 * pascal = atm
mmHg = 133.322387415 * pascal
inHg = 25.4 * mmHg
volt = newton * meter / second / ampere = V
siemens = ampere / volt = S
liter = 0.001 * meter**3 = L = l
gallon = 3.785411784 * liter
kelvin = [temperature]; offset: 0 = K
degree_Celsius = kelvin; offset: 273.15 = degC
degree_Fahrenheit = 5 / 9 * kelvin; offset: 233.15 + 200 / 9 = degF
degree = [angle] = deg
radian = 57.295779513082320877 * degree = rad
knot = 1852 * meter / hour = kn
inch = 0.0254 * meter = in
foot = 0.3048 * meter = ft
mile = 1609.344 * meter = mi
NTU = [turbidity]
decibel_A = [sound_level] = dBA
percent = 0.01 = percent
"""
"""The units of this field only: reading all of pint's takes half a second, and a stranger's unit is better refused."""

_DIGITS: Final = 15
"""Decimal digits that a double keeps whatever they are."""
_TENS: Final = np.array([float(10**power) for power in range(23)])
"""The powers of ten that are doubles exactly."""
_POWER: Final = re.compile(r"\b([A-Za-z]+)([23])\b")


class UnitError(ValueError):
    """A unit is unknown or measures something else than the parameter does."""


def normal_unit(text: str) -> str:
    r"""Spelling in which two ways to write the same unit are equal.

    Both micro signs (U+00B5, U+03BC) become ``u``, superscripts and full-width signs their plain forms (NFKC).

    Examples
    --------
    >>> normal_unit("\u00b5g/m³"), normal_unit("℃"), normal_unit("dB（A）")
    ('ug/m3', 'degC', 'dB(A)')
    """
    text = unicodedata.normalize("NFKC", text).replace("μ", "u").strip()
    return _ALIASES.get(text, text)


@lru_cache(maxsize=512)
def conversion(sent: str, canonical: str) -> tuple[float, float]:
    """Factor and offset by which a value sent becomes a canonical one.

    Parameters
    ----------
    sent : str
        Unit that the device sends.
    canonical : str
        Unit in which the parameter is kept.

    Returns
    -------
    scale, offset : float
        ``canonical value = scale * value sent + offset``; exactly (1.0, 0.0) where the units are the same. Computed
        with exact fractions, so milligrams become micrograms by exactly 1000.

    Raises
    ------
    UnitError
        If a unit is unknown, or if the two measure different quantities.

    Examples
    --------
    >>> conversion("mg/m3", "ug/m3")
    (1000.0, 0.0)
    """
    normal, target = normal_unit(sent), normal_unit(canonical)
    if normal == target:
        return 1.0, 0.0
    offset = _convert(0, normal, target, sent, canonical)
    scale = _convert(1, normal, target, sent, canonical) - offset
    return float(scale), float(offset)


def converted(
    values: NDArray[np.float64], scale: float | NDArray[np.float64], offset: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Convert values, without the noise of binary fractions: as decimal numbers of 15 digits.

    Parameters
    ----------
    values : float64 array (n,)
        As sent; NaN stays NaN.
    scale, offset : float or float64 array (n,)
        From ``conversion``.

    Returns
    -------
    float64 array (n,)
        ``scale * values + offset``, rounded to 15 digits of the larger of both terms. Terms that 15 digits cannot write with
        at most 22 places behind the point, and from 10^15 on, stay as they are.

    Examples
    --------
    >>> converted(np.array([1008.6, 1001.3]), 0.1, 0.0).tolist()
    [100.86, 100.13]
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        terms = scale * values
        result: NDArray[np.float64] = terms + offset
        size = np.maximum(np.abs(terms), np.abs(offset))
        places = _DIGITS - 1 - np.floor(np.log10(size))
        fits = (places >= 0) & (places < len(_TENS)) & ((scale != 1.0) | (offset != 0.0))
        tens = _TENS[np.where(fits, places, 0).astype(np.intp)]
        return np.where(fits, np.rint(result * tens) / tens, result)


def converted_number(value: float, scale: float, offset: float) -> float:
    """Convert one value by the rule of ``converted``.

    Examples
    --------
    >>> converted_number(50, 5 / 9, -160 / 9)
    10.0
    """
    if (scale, offset) == (1.0, 0.0):
        return value
    term = scale * value
    size = max(abs(term), abs(offset))
    if not 0 < size < math.inf:
        return term + offset
    places = _DIGITS - 1 - math.floor(math.log10(size))
    return round((term + offset) * 10**places) / 10**places if 0 <= places < len(_TENS) else term + offset


_LONGEST: Final = 60
"""Characters of a unit."""
_TOWER: Final = re.compile(r"(\*\*|\^)\s*(\(|[+-]?[\d.]+\s*\)*\s*(\*\*|\^)|[+-]?\d{3})")
"""Powers of powers, and those of three digits, which take minutes to be worked out."""


def _convert(value: int, normal: str, target: str, sent: str, canonical: str) -> Fraction:
    import pint  # noqa: PLC0415 -- takes 0.3 s, and a registry whose units are all canonical never needs it

    if len(sent) > _LONGEST or _TOWER.search(_spelled(normal)):
        raise UnitError(
            f"{sent[:_LONGEST]!r} is not a unit (powers of powers, or too long); write for example {canonical!r}"
        )
    quantity = _registry().Quantity
    try:
        result: Any = quantity(Fraction(value), _spelled(normal)).to(_spelled(target)).magnitude
    except pint.DimensionalityError:
        raise UnitError(f"{sent!r} cannot be converted to {canonical!r}: it measures another quantity") from None
    except pint.UndefinedUnitError as error:
        raise UnitError(f"{sent!r} is not a known unit ({error}); write for example {canonical!r}") from None
    except Exception as error:  # noqa: BLE001 -- pint's parser raises its tokenizer's errors as they come
        raise UnitError(f"{sent!r} is not a unit ({error}); write for example {canonical!r}") from None
    return Fraction(result)


def _spelled(unit: str) -> str:
    """The unit as pint's parser wants it."""
    if unit in ("1", "%", "dB(A)"):
        return {"1": "dimensionless", "%": "percent", "dB(A)": "decibel_A"}[unit]
    return _POWER.sub(r"\1**\2", unit.replace("%", " percent "))


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry[Any]:
    import pint  # noqa: PLC0415 -- as above

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(None, non_int_type=Fraction)
    registry.load_definitions(_DEFINITIONS.strip().splitlines())
    return registry
