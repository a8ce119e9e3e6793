"""Message catalogues: every text of dashboards and alerts, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping

from greenmine.wording.messages import LANGUAGES, Language, texts

__all__ = ["LANGUAGES", "Language", "catalogue", "message"]


def catalogue(language: Language) -> Mapping[str, str]:
    """Texts of a language by dotted key."""
    return texts("greenmine.grafana", language)


def message(language: Language, key: str, **values: object) -> str:
    """Text of a key with its placeholders filled.

    Raises
    ------
    KeyError
        The catalogue has no such key, or the text needs a value that was not given.
    """
    return catalogue(language)[key].format(**values)
