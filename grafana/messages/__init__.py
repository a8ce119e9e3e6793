"""Message catalogues: every text of dashboards and alerts, in Chinese and English."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

Language = Literal["zh", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """Texts of a language by dotted key."""
    text = files("grafana").joinpath("messages", f"{language}.toml").read_text("utf-8")
    return dict(_flat(tomllib.loads(text)))


def message(language: Language, key: str, **values: object) -> str:
    """Text of a key with its placeholders filled.

    Raises
    ------
    KeyError
        The catalogue has no such key, or the text needs a value that was not given.
    """
    return catalogue(language)[key].format(**values)


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        pairs.extend(_flat(value, f"{name}.") if isinstance(value, dict) else [(name, str(value))])
    return pairs
