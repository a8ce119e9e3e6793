"""Message catalogues: every text of the pages, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping

from greenmine.wording.messages import LANGUAGES, Language, texts

__all__ = ["LANGUAGES", "Language", "catalogue", "has_message", "message"]


def catalogue(language: Language) -> Mapping[str, str]:
    """Texts of a language by dotted key."""
    return texts("greenmine.api", language)


def message(language: Language, key: str, **values: object) -> str:
    """Text of a key with its placeholders filled.

    Raises
    ------
    KeyError
        The catalogue has no such key, or the text needs a value that was not given.
    """
    return catalogue(language)[key].format(**values)


def has_message(key: str) -> bool:
    """Whether the catalogues have a text for a key."""
    return key in catalogue("en")
