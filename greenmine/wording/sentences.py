"""Sentences that parts of the system write in English, in Chinese: by the catalogue ``sentences.toml``."""

from __future__ import annotations

import re
import tomllib
from functools import cache, lru_cache
from typing import Final

from greenmine import parameters

CATALOGUE: Final = parameters.CATALOGUE.with_name("sentences.toml")
_COLONS: Final = 12
"""Colons of a sentence that may part a name from the rest: each is looked at, and names of strangers may hold thousands."""
_PLACE: Final = re.compile(
    r'([\w./-]+\.toml(?:, line \d+)?(?:, \[\[\w+\]\] number \d+(?: "(?:[^"\\]|\\.)*")?)?|\w+(?: for \S+)? number \d+): '
)
"""Where in the registry a fault is, with which its sentence begins."""
_FIELD: Final = r"(?!\w+: )"
"""What a sentence that begins with what changes does not begin with: the field of which it speaks, which is a name and a colon."""
_NAME: Final = re.compile(r"\\\{(\w+)\\\}")


@lru_cache(maxsize=4096)
def chinese_sentence(sentence: str) -> str | None:
    """Write a sentence in Chinese; None if the catalogue does not have it.

    What stands for a name in it may be a sentence of the catalogue, too; so may each of several with semicolons between, and
    the one behind a name and a colon.

    Examples
    --------
    >>> chinese_sentence("log.csv: no row has a time and a value")
    'log.csv：没有一行同时有时间和数值'
    >>> chinese_sentence("it rains") is None
    True
    """
    if (place := _PLACE.match(sentence)) is not None and (
        rest := chinese_sentence(sentence[place.end() :])
    ) is not None:
        return f"{chinese_sentence(place[1]) or place[1]}：{rest}"
    several = [chinese_sentence(part) for part in sentence.split("; ")] if "; " in sentence else [None]
    if None not in several:
        return "；".join(filter(None, several))
    for pattern, text in _patterns():
        if (match := pattern.fullmatch(sentence)) is not None:
            return text.format_map({name: chinese_sentence(part) or part for name, part in match.groupdict().items()})
    name, colon, rest = sentence.partition(": ")
    found = chinese_sentence(rest) if colon and rest.count(": ") < _COLONS else None
    return None if found is None else f"{chinese_sentence(name) or name}：{found}"


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Those that leave least open come first: of several that fit, one says more."""
    tables = tomllib.loads(CATALOGUE.read_text("utf-8"))
    told = [(*pair, name == "registry") for name, table in tables.items() for pair in table.items()]
    told.sort(key=lambda one: -len(re.sub(r"\{\w+\}", "", one[0])))
    return tuple((_pattern(en, fields=of_registry), zh) for en, zh, of_registry in told)


def _pattern(english: str, *, fields: bool) -> re.Pattern[str]:
    bare = fields and english.startswith("{") and not english.partition("}")[2].startswith(":")
    return re.compile((_FIELD if bare else "") + _NAME.sub(r"(?P<\1>.+?)", re.escape(english)), re.DOTALL)
