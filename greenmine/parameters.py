"""The catalogue of parameters: what is measured, in which unit, and how it is averaged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from greenmine.rounding import three_figures
from greenmine.tables import CATALOGUES, DataFile, Id, Number, nearest, read_catalogue
from greenmine.themes import Theme, load_themes
from greenmine.units import UnitError, conversion

CATALOGUE: Final = CATALOGUES / "parameters.toml"
"""The catalogue that ships with the package."""

Averaging = Literal["arithmetic", "energy", "vector", "sum", "maximum", "state"]
"""Way of averaging: arithmetic mean; energy mean 10·lg mean 10^(L/10); circular mean; total; largest; state on/off."""


class Checks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Quality checks of a parameter; None switches a check off."""

    spike: Number | None = None
    """A reading is a suspected spike when it departs from both neighbours by more than this, to the same side."""
    rate: Number | None = None
    """A change per minute beyond this is suspect."""
    frozen_minutes: int | None = None
    """A run of identical values at least this long is a frozen instrument."""


class Usual(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where most readings lie, and the units with which the right one is confused: tells a device set up wrongly."""

    low: Number
    high: Number
    mistaken: tuple[str, ...]
    """Units that devices send for this parameter beside its own."""
    night: Number | None = None
    """Below it a temperature falls within a day and night anywhere, but for one reading in twenty."""


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One measured quantity."""

    id: Id
    name_zh: str
    name_en: str
    symbol: str
    unit: str
    averaging: Averaging
    low: Number
    """Plausible range, inclusive; outside it a reading is kept, flagged and never averaged."""
    high: Number
    decimals: int
    hj212: str
    theme: str
    """Id of a theme."""
    checks: Checks = Checks()
    source: str
    usual: Usual | None = None
    """None: a wrong unit cannot be told from the values."""

    @property
    def is_level(self) -> bool:
        """Whether values are sound levels, averaged as energies."""
        return self.averaging == "energy"

    @property
    def is_direction(self) -> bool:
        """Whether values are directions, averaged as unit vectors."""
        return self.averaging == "vector"

    @property
    def is_total(self) -> bool:
        """Whether values add up to the total of a window."""
        return self.averaging == "sum"

    @property
    def is_peak(self) -> bool:
        """Whether the largest value stands for a window."""
        return self.averaging == "maximum"

    @property
    def is_state(self) -> bool:
        """Whether values are on and off."""
        return self.averaging == "state"

    @property
    def is_concentration(self) -> bool:
        """Whether values are masses in a volume of air or water."""
        return self.unit.endswith(("g/m3", "g/L"))

    def places(self, value: float) -> int:
        """Count the decimals in which a figure is told: three significant figures of a concentration, else ``decimals``."""
        return three_figures(value) if self.is_concentration and value else self.decimals

    @property
    def has_mean(self) -> bool:
        """Whether figures of hours can be averaged once more, each with the same weight, into that of a longer window."""
        return self.averaging in {"arithmetic", "energy"}


def load_parameters(path: Path | None = None, themes: Mapping[str, Theme] | None = None) -> dict[str, Parameter]:
    """The parameters by id, in the order of the catalogue.

    Parameters
    ----------
    path : Path, optional
        A catalogue file; None: the one that ships with the package.
    themes : mapping of Theme, optional
        What parameters may be about; None: the catalogue that ships with the package.

    Raises
    ------
    DataFileError
        With every fault of the file.
    """
    known = load_themes() if themes is None else themes
    return read_catalogue(path or CATALOGUE, lambda file, faults: read_parameters(file, known, faults))


def read_parameters(file: DataFile, themes: Mapping[str, Theme], faults: list[str]) -> dict[str, Parameter]:
    """The sound parameters of a file; what is wrong with the others is added to ``faults``."""
    file.expect(["parameters"], faults)
    found: dict[str, Parameter] = {}
    for entry in file.entries("parameters", Parameter, faults):
        parameter = entry.value
        if parameter is None:
            continue
        if parameter.theme not in themes:
            faults.append(
                f"{entry.place}: theme: there is no theme {parameter.theme!r}; {nearest(parameter.theme, themes)}"
            )
        if not parameter.low < parameter.high:
            faults.append(f"{entry.place}: low {parameter.low:g} must lie under high {parameter.high:g}")
        if parameter.usual is not None:
            _check_usual(parameter, parameter.usual, entry.place, faults)
        checks = parameter.checks
        for name, value in (("spike", checks.spike), ("rate", checks.rate), ("frozen_minutes", checks.frozen_minutes)):
            if value is not None and value <= 0:
                faults.append(f"{entry.place}: checks: {name} must be above 0, or left out to switch the check off")
        found[parameter.id] = parameter
    return found


def _check_usual(parameter: Parameter, usual: Usual, place: str, faults: list[str]) -> None:
    if not parameter.low <= usual.low < usual.high <= parameter.high:
        faults.append(f"{place}: usual: low must lie under high, and both in the plausible range")
    for unit in usual.mistaken:
        try:
            conversion(unit, parameter.unit)
        except UnitError as error:
            faults.append(f"{place}: usual: mistaken: {error}")
