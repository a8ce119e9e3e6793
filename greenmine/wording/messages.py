"""Message catalogues: the texts of a package, in Chinese and English, as TOML files in its folder ``messages``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

Language = Literal["zh", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")


SHARED: Final = "greenmine.wording"
"""Package whose texts all others have, too."""


@cache
def texts(package: str, language: Language) -> Mapping[str, str]:
    """Texts of a package in a language, by dotted key: the shared ones, and its own, which take precedence."""
    shared = {} if package == SHARED else texts(SHARED, language)
    text = files(package).joinpath("messages", f"{language}.toml").read_text("utf-8")
    return {**shared, **dict(_flat(tomllib.loads(text)))}


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        pairs.extend(_flat(value, f"{name}.") if isinstance(value, dict) else [(name, str(value))])
    return pairs
