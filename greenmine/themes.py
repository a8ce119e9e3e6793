"""The catalogue of themes: what parameters are about, in the order in which everything shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from greenmine.tables import CATALOGUES, DataFile, Id, read_catalogue

CATALOGUE: Final = CATALOGUES / "themes.toml"
"""The catalogue that ships with the package."""


class Theme(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What several parameters are about, such as dust."""

    id: Id
    name_zh: str
    name_en: str
    judged: bool
    """Limits may judge its parameters: it has a verdict on pages, in dashboards and in evidence."""
    marks: tuple[Literal["stop", "weather"], ...] = ()
    """Kinds of mark that take its readings out, besides those about the instrument, which do so for every theme."""
    hj212: Annotated[str, msgspec.Meta(pattern=r"^\d\d\Z")]
    """System code ST of a simulated data logger; the operator of a real platform decides otherwise."""


def load_themes(path: Path | None = None) -> dict[str, Theme]:
    """Themes by id, in the order of the catalogue.

    Parameters
    ----------
    path : Path, optional
        A catalogue file; None: the one that ships with the package.

    Raises
    ------
    DataFileError
        With every fault of the file.
    """
    return read_catalogue(path or CATALOGUE, read_themes)


def read_themes(file: DataFile, faults: list[str]) -> dict[str, Theme]:
    """Read the sound themes of a file; faults of the others are added to ``faults``."""
    file.expect(["themes"], faults)
    values = (entry.value for entry in file.entries("themes", Theme, faults))
    return {theme.id: theme for theme in values if theme is not None}
