"""Zones of time as headings and names of columns state them."""

from __future__ import annotations

import re
from typing import Final

from greenmine.collector.files.columns import (
    plain,
)
from greenmine.collector.files.stamps import DATE_TEXT
from greenmine.zones import Zone

_OFFSET: Final = re.compile(
    r"(?:UTC|GMT|时区|zone|offset)[^+\-\d\w]{0,3}(?P<sign>[+\-−])\s?(?P<hour>\d{1,2})(?::?(?P<minute>\d\d))?",
    re.IGNORECASE,
)
_BARE_OFFSET: Final = re.compile(r"(?<![\d:])(?P<sign>[+\-−])(?P<hour>\d\d):(?P<minute>\d\d)(?!\d)")
_UTC: Final = re.compile(
    r"(?<![a-z])(?:UTC|GMT|zulu)(?![a-z])|世界时|格林|Greenwich Mean|Coordinated Universal|Universal Time",
    re.IGNORECASE,
)
_UTC_NAME: Final = re.compile(r"utc|gmt", re.IGNORECASE)
_BEIJING: Final = re.compile(r"北京时间|beijing|Asia/Shanghai|中国标准时间|China Standard Time", re.IGNORECASE)
_IANA: Final = re.compile(r"\b[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+(?:[+-]\d{1,2}|/[A-Z][A-Za-z_]+)?")
_ABBREVIATED: Final = re.compile(
    r"(?<![A-Za-z])(EST|EDT|CST|CDT|MST|MDT|PST|PDT|AKST|AKDT|HST|AST|ADT|NST|NDT|BST|IST|GST|SST|WST|EET|EEST|CET|CEST|WET|WEST|MSK|"
    r"JST|KST|HKT|SGT|PHT|ICT|WIB|AEST|AEDT|ACST|AWST|NZST|NZDT|BRT|ART|CLT|COT|PET|SAST|EAT|CAT|WAT|CCT|MEZ|MESZ)(?![A-Za-z])"
)
_NAMED: Final = re.compile(
    r"(?:\b(?:US )?(?:Eastern|Central|Mountain|Pacific|Atlantic|Alaskan?|Hawaiian?)(?: (?:Standard|Daylight|Prevailing))? Time\b"
    r"|(?:\b[A-Z][\w.]+ ){1,3}(?:Standard|Daylight|Summer) Time\b|\b[A-Z]\w+ European Time\b|\w*europäische (?:Sommer)?[Zz]eit\b)"
    r"|(?<=\()(?:Eastern|Central|Mountain|Pacific|ET|CT|MT|PT)(?=\))"
)
"""Zones in words, of which the clocks may be put forward in summer."""
_DAYLIGHT: Final = re.compile(
    r"(?:daylight(?:[ _-]?sav(?:ings|ing))?(?:[ _-]?time)?|(?<![A-Za-z])(?:is[ _]?)?DST(?![A-Za-z])|summer ?time|sommerzeit"
    r"|heure d'été|夏令时|夏时制)"
    r"(?P<said>[^\n]{0,24})",
    re.IGNORECASE,
)
_NOT_FORWARD: Final = re.compile(
    r"[\W_]*(?:(?:adjust\w*|enabled|observed|correction|used|status|setting|time|applied|is)[\W_]*)*"
    r"(?:off|no|not|none|never|0|false|disabled|n|aus|nein|non|关|否|未|无|不)(?![A-Za-z1-9])",
    re.IGNORECASE,
)
_WITHOUT: Final = re.compile(r"(?:without|no|not|ohne|never|excluding|non)[ -]*(?:\w+ )?$|[无不未]\w?$", re.IGNORECASE)
_ZONE_KEY: Final = re.compile(
    r"(?:time ?zone|zeitzone|fuseau\w*|时区|(?:UTC|GMT|time)[ _-]?offset)(?P<minutes>[^:：,;=\t\d+-]*min[^:：,;=\t\d+-]*)?"
    r"[^:：,;=\t\d+-]*[\"':：,;=\t ]*(?P<rest>.*)",
    re.IGNORECASE,
)
"""A line of the heading that says in which zone the stamps are."""
_ZONE_SENTENCE: Final = re.compile(
    r"北京时间|(?:stamps?|times?|clock)\b.*\b(?:UTC|GMT)|\b(?:stamps?|times?|clocks?)\b.{0,20}\b(?:in|are|is|as)\b",
    re.IGNORECASE,
)
_OF_CITIES: Final = re.compile(r"\((?:UTC|GMT)(?:[+\-−]\d\d:\d\d)?\)\s+(?!Time|Date|Coordinated)[A-Z][^;\t]{2,60}")
"""A zone as Windows shows it: the offset is that of winter."""
_HOURS_AHEAD: Final = re.compile(r"(?P<sign>[+-]?)(?P<number>\d{1,3})(?:[.]0+)?\b(?![:/.\d])")
_UNSAID: Final = re.compile(r"local|本地|unknown|none|n/a|^\W*$", re.IGNORECASE)
_BARE_ZONE_KEY: Final = re.compile(r"\W*(?:zone|tz)\W+(?P<rest>.*)", re.IGNORECASE)
"""A line that may speak of a zone of time, or of a part of the town."""
_ZONE_PROSE: Final = re.compile(r"(?:UTC|GMT) ?[+\-−]\d", re.IGNORECASE)


def is_put_forward(text: str) -> bool:
    """Tell whether a text says that the clock is put forward in summer."""
    match = _DAYLIGHT.search(text)
    return match is not None and not _NOT_FORWARD.match(match["said"]) and not _WITHOUT.search(text[: match.start()])


def is_zone(name: str) -> bool:
    """Whether a text names one zone: a name of the database, or an offset."""
    try:
        Zone(name)
    except ValueError:
        return False
    return not name.isupper() or name == "UTC"  # EST and MST are also names of the database


def zone_in(text: str, *, column: bool) -> str | None:
    """Find the zone that a text names: its name, an offset, or words and abbreviations as they stand; None: it names none."""
    if _BEIJING.search(text):
        return "Asia/Shanghai"
    for name in _IANA.findall(text):
        if is_zone(name):
            return str(name)
    for pattern in (_NAMED, _OF_CITIES):
        if (named := pattern.search(text)) is not None:
            return named[0]
    for pattern in (_OFFSET, *([_BARE_OFFSET] if column else [])):
        if match := pattern.search(text):
            hour, minute = int(match["hour"]), match["minute"] or "00"
            if hour <= 15:
                return f"{'+' if match['sign'] == '+' else '-'}{hour:02}:{minute}"
    if _UTC.search(text) or (column and _UTC_NAME.search(plain(text))):
        return "UTC"
    found = _ABBREVIATED.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    return found[0] if found else None


def offset_of(text: str, *, minutes: bool = False) -> str | None:
    """The offset that a bare number of hours means, or of minutes where it is said or above 15; None: it is no number."""
    if (number := _HOURS_AHEAD.fullmatch(text)) is None:
        return None
    ahead = int(number["number"]) * (1 if minutes or int(number["number"]) > 15 else 60)
    return f"{number['sign'] or '+'}{ahead // 60:02}:{ahead % 60:02}"


def zone_of_line(line: str) -> str | None:
    """The zone that a line of the heading states; the text itself, if it is none that is known."""
    if (match := _ZONE_KEY.search(line)) is None:
        if (other := _BARE_ZONE_KEY.fullmatch(line)) is not None:
            return zone_in(other["rest"], column=True)
        return zone_in(line, column=False) if _ZONE_SENTENCE.search(line) else None
    rest = match["rest"].strip(" \"'\t,;")
    if (zone := offset_of(rest, minutes=match["minutes"] is not None)) is not None:
        return zone
    if (zone := zone_in(rest, column=True)) is not None:
        return zone
    return None if _UNSAID.search(rest) else rest


def zone_of_prose(line: str) -> str | None:
    """The zone of which a line of the heading speaks without a key, and not behind a stamp of its own."""
    text = re.sub(
        rf"(?:{DATE_TEXT})[T ,;]+\d{{1,2}}:\d\d\S*(?: ?[AaPp][Mm])? ?(?:(?:UTC|GMT)? ?[+-]\d[\d:]*)?", " ", line
    )
    stated = any(pattern.search(text) for pattern in (_ZONE_PROSE, _NAMED, _OF_CITIES))
    return zone_in(text, column=False) if stated or _ABBREVIATED.fullmatch(text.strip()) else None
