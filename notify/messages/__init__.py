"""Message catalogues of the notices, in Chinese and English."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from greenmine.notify.subscriptions import Language


@cache
def catalogue(language: Language) -> Mapping[str, Mapping[str, str]]:
    """Texts of a language by section and name."""
    text = files("greenmine.notify").joinpath("messages", f"{language}.toml").read_text("utf-8")
    return tomllib.loads(text)
