"""Patterns of MQTT topics, with names for the levels that say who speaks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

Place = Literal["site", "device", "address", "name"]
PLACES: Final[tuple[Place, ...]] = ("site", "device", "address", "name")
"""What a level, or a part of one, may stand for: ids of the registry, a device's ``address``, the name of a value."""

OWN: Final = "greenmine/v1/{site}/{device}/readings"
"""Topic of every device of the registry; no other pattern may take its messages."""

FRAMES: Final = "greenmine/v1/{site}/{device}/hj212"
"""Topic in the log of what a gateway took from a data logger; nobody else may publish there."""

_LONGEST: Final = 65_535
"""Longest topic [bytes] (MQTT 3.1.1, 1.5.3)."""
_PLACE: Final = re.compile(r"\{([^{}]*)\}")


class TopicError(ValueError):
    """A text is no pattern of topics."""


class TopicPattern:
    """A topic with MQTT's wildcards ``+`` and ``#``, and with ``{site}``, ``{device}``, ``{address}`` and ``{name}``.

    A name may stand for a whole level or for a part of it, as in ``Datastreams({name})``; it takes at least one
    character and never a ``/``.

    Parameters
    ----------
    text : str
        The pattern.

    Raises
    ------
    TopicError
        With what is wrong and what would be right.

    Examples
    --------
    >>> pattern = TopicPattern("{address}/sensor/{name}/state")
    >>> pattern.match("dust-node/sensor/pm_10/state")
    ('dust-node', 'pm_10')
    >>> pattern.filter({"name": "pm_10"})
    '+/sensor/pm_10/state'
    """

    __slots__ = ("_levels", "_match", "places", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._levels = text.split("/")
        self.places = _places(text)
        """What the pattern names, in the order of the topic."""
        _check_wildcards(text, self._levels)
        if text.startswith("$"):
            raise TopicError(f"{text!r}: topics that begin with $ are the broker's own")
        self._match = re.compile(_expression(self._levels), re.DOTALL)

    def match(self, topic: str) -> tuple[str, ...] | None:
        """What stands in a topic at each of ``places``; None if the topic is none of the pattern's."""
        found = self._match.fullmatch(topic)
        return None if found is None else found.groups()

    def filter(self, known: Mapping[str, str]) -> str:
        """Filter to subscribe to: where all of a level is known it stands there, otherwise ``+``."""
        levels = [_PLACE.sub(lambda place: known.get(place[1], "+"), level) for level in self._levels]
        return "/".join("+" if "+" in level else level for level in levels)


def overlap(one: str, other: str) -> bool:
    """Whether some topic belongs to both of two filters.

    Examples
    --------
    >>> overlap("tele/+/SENSOR", "+/tele/SENSOR"), overlap("tele/#", "stat/+")
    (True, False)
    """
    left, right = one.split("/"), other.split("/")
    for a, b in zip(left, right, strict=False):
        if "#" in {a, b}:
            return True
        if a != b and "+" not in {a, b}:
            return False
    longer = left if len(left) > len(right) else right
    shorter = min(len(left), len(right))
    return len(left) == len(right) or longer[shorter] == "#"


def covers(one: str, other: str) -> bool:
    """Whether every topic of the second filter belongs to the first.

    Examples
    --------
    >>> covers("plant/+/up", "plant/18/up"), covers("plant/18/up", "plant/+/up"), covers("plant/#", "plant")
    (True, False, True)
    """
    wide, narrow = one.split("/"), other.split("/")
    for a, b in zip(wide, narrow, strict=False):
        if a == "#":
            return True
        if b == "#" or a not in {"+", b}:
            return False
    return len(wide) == len(narrow) or wide[len(narrow) :] == ["#"]


def _places(text: str) -> tuple[str, ...]:
    found = tuple(_PLACE.findall(text))
    for place in found:
        if place not in PLACES:
            raise TopicError(
                f"{text!r}: {{{place}}} stands for nothing; there are {{site}}, {{device}}, {{address}}, {{name}}"
            )
        if found.count(place) > 1:
            raise TopicError(f"{text!r}: {{{place}}} is there twice")
    if "site" in found and "device" not in found:
        raise TopicError(f"{text!r}: {{site}} goes with {{device}}; a site alone does not say which device speaks")
    if "device" in found and "site" not in found:
        raise TopicError(f"{text!r}: {{device}} goes with {{site}}; only both together are unique")
    return found


def _check_wildcards(text: str, levels: list[str]) -> None:
    if not 0 < len(text.encode("utf-8", "replace")) <= _LONGEST or "\0" in text:
        raise TopicError("a topic is not empty, at most 65535 bytes long and without NUL")
    if re.search("[{}]", _PLACE.sub("", text)):
        raise TopicError(f"{text!r}: a brace is not closed; write for example {{address}}")
    if "}{" in text:
        raise TopicError(f"{text!r}: two names touch, so that nobody can tell where one ends")
    for number, level in enumerate(levels):
        if level != "+" and "+" in level:
            raise TopicError(f"{text!r}: + stands for a whole level, never for a part of one")
        if "#" in level and (level != "#" or number != len(levels) - 1):
            raise TopicError(f"{text!r}: # stands alone, and at the end")
    if levels == ["#"]:
        raise TopicError("'#' is every topic of the broker; name those of the devices")


def _expression(levels: list[str]) -> str:
    """A regular expression for the topics of a pattern; a name takes as little of its level as it can."""
    parts: list[str] = []
    for level in levels:
        if level == "#":
            parts[-1:] = [parts[-1] + "(?:/.*)?"]
        elif level == "+":
            parts.append("[^/]*")
        else:
            pieces = _PLACE.split(level)
            parts.append("".join("([^/]+?)" if n % 2 else re.escape(piece) for n, piece in enumerate(pieces)))
    return "/".join(parts)
