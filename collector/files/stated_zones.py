"""Zones of time as headings and names of columns state them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from zoneinfo import available_timezones

from greenmine.collector.files.columns import plain, says_nothing, words
from greenmine.collector.files.stamps import DATE_TEXT
from greenmine.zones import Zone

_OFFSET: Final = re.compile(
    r"(?:UTC|GMT|时区|zone|offset)[^+\-\d\w]{0,3}(?P<sign>[+\-−])\s?(?P<hour>\d{1,2})(?::?(?P<minute>\d\d))?",
    re.IGNORECASE,
)
_BARE_OFFSET: Final = re.compile(r"(?<![\d:])(?P<sign>[+\-−])(?P<hour>\d\d):(?P<minute>\d\d)(?!\d)")
_UTC: Final = re.compile(
    r"(?<![a-z])(?:UTC|GMT|zulu)(?![a-z])|\(Z\)|世界时|格林|Greenwich Mean|Coordinated Universal|Universal Time",
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
    r"北京时间|东.{1,2}区|西.{1,2}区|(?:stamps?|times?|clock)\b.*\b(?:UTC|GMT)|\b(?:stamps?|times?|clocks?)\b.{0,20}\b(?:in|are|is|as)\b"
    r"|\b(?:time|clock)[ _-]?(?:base|basis|reference|standard|system|set)\b|时间(?:基准|标准)"
    r"|\blocal time\b|\bclock\W*[:=]|^\W*time\W*:",
    re.IGNORECASE,
)
_OF_CITIES: Final = re.compile(r"\((?:UTC|GMT)(?:[+\-−]\d\d:\d\d)?\)\s+(?!Time|Date|Coordinated)[A-Z][^;\t]{2,60}")
"""A zone as Windows shows it: the offset is that of winter."""
_AHEAD: Final = re.compile(r"(?P<sign>[+-]?)(?P<number>\d{1,3}|3600|7200|\d{5})(?P<part>[.](?:0+|25|50?|75))?")
_UNIT_BEHIND: Final = re.compile(
    r"(?<=\d) ?(?:h|hrs?|hours?|小时|min|minutes?|分钟?|s|secs?|seconds?|秒)\Z", re.IGNORECASE
)
_OFFSET_AS_CLOCK: Final = re.compile(r"(?P<sign>[+-]?)(?P<hour>0?\d|1[0-4]):(?P<minute>[0-5]\d)(?::00)?")
_DISTRICT: Final = re.compile(r"(?P<side>[东西])\s?(?P<ten>十)?(?P<number>[一二三四五六七八九十]|\d{1,2})\s?(?:时)?区")
"""Zones as Chinese counts them: 东八区 is eight hours ahead."""
_NOT_CITIES: Final = frozenset(
    {"center", "central", "eastern", "mountain", "pacific", "west", "universal", "north", "south", "troll", "factory"}
)
"""Parts of names of the database that are words of other meanings too."""
_OLD_NAMES: Final = ("US/", "Canada/", "Mexico/", "Brazil/", "Chile/", "Etc/", "posix/", "right/", "SystemV/")
_UNSAID: Final = re.compile(r"local|本地|unknown|none|n/a|^\W*$", re.IGNORECASE)
_BARE_ZONE_KEY: Final = re.compile(r"\W*(?:zone|tz)\W+(?P<rest>.*)", re.IGNORECASE)
"""A line that may speak of a zone of time, or of a part of the town."""
_WINTER: Final = re.compile(
    r"(?:winter|standard|normal)[ _-]?(?:time|zeit)|(?<![A-Za-z])LST(?![A-Za-z])|hora estándar|heure d'hiver|冬令时",
    re.IGNORECASE,
)
_FORM: Final = re.compile(r"(?:%[A-Za-z]|[YyMmDdHhSsTtJjAaPpf]{1,4}|年|月|日|时|分|秒|[-/.:, _])+")
"""The form of stamps: ``YYYY-MM-DD hh:mm``."""
_SAID_OF_TIMES: Final = words("""
    begin beginning begins start starting starts end ending ends ended hour hours hourly hr hrs h minute minutes min second
    seconds sec s ms millis milliseconds day days d date time times clock local standard lst lt loc of the at in as and to
    from since until by interval period sample sampling measurement logger device instrument internal system unix epoch iso
    excel serial ole am pm format string text number utc offset no dst without not daylight saving savings winter normal
    naive wall mean average avg ortszeit lokal 开始 结束 本地 本地时间 当地 当地时间 时间 日期 年月日 时分 时分秒 小时
    小时制 整点 分钟 秒 起 止 起始 截止 北京
""")
"""Words beside the name of a time column that name no zone."""
_ZONE_PROSE: Final = re.compile(r"(?:UTC|GMT) ?[+\-−]\d", re.IGNORECASE)
_ONE_MEANING: Final = {
    "MEZ": "+01:00", "JST": "+09:00", "KST": "+09:00", "HKT": "+08:00", "SGT": "+08:00", "AWST": "+08:00", "PHT": "+08:00",
    "WIB": "+07:00", "ICT": "+07:00", "SAST": "+02:00", "EAT": "+03:00",
}  # fmt: skip
"""Offsets of abbreviations that mean one zone, of which the clocks are never put forward."""
_SPEAKS_OF_TIMES: Final = re.compile(
    r"\b(?:times?|hours?|(?:time)?stamps?|clock|\w*zeit(?:en|angaben?)?|uhr\w*|stunden\w*|heures?|horas?|horario|ore|orario|orari"
    r"|tids?|tijd\w*|godzin\w*|czas\w*)\b|врем|时间|時間|时刻|時刻",
    re.IGNORECASE,
)
"""What a sentence says that speaks of the stamps."""


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
    if match := _DISTRICT.search(text):
        digits = "十一二三四五六七八九".find(match["number"])
        ahead = (digits or 10) if digits >= 0 else int(match["number"])
        return f"{'+' if match['side'] == '东' else '-'}{ahead + (10 if match['ten'] and digits else 0):02}:00"
    found = _ABBREVIATED.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    return _ONE_MEANING.get(found[0], found[0]) if found else _place_in(text)


@lru_cache(maxsize=1)
def _places() -> dict[str, str]:
    """Zones by the cities of their names, in lower case; the name itself where it is a continent, or the city of several zones."""
    found: dict[str, str] = {}
    for name in sorted(available_timezones()):
        if name.startswith(_OLD_NAMES) or name.upper() == name:
            continue
        *regions, city = name.replace("_", " ").split("/")
        found |= dict.fromkeys(map(str.casefold, regions), "")
        found[city.casefold()] = "" if city.casefold() in found else name
    return {place: name for place, name in found.items() if place not in _NOT_CITIES}


def _place_in(text: str) -> str | None:
    """The zone of a city of the database that a text names; a continent or a country of several zones as it stands."""
    words = re.findall(r"[^\W\d_]+", text.replace("_", " "))
    for count in (3, 2, 1):
        for at in range(len(words) - count + 1):
            place = " ".join(words[at : at + count])
            if (name := _places().get(place.casefold())) is not None:
                return name or place
    return None


def is_winter_time(text: str) -> bool:
    """Tell whether a text says that the clock is not put forward in summer."""
    match = _DAYLIGHT.search(text)
    put_back = match is not None and (
        _NOT_FORWARD.match(match["said"]) is not None or _WITHOUT.search(text[: match.start()]) is not None
    )
    return put_back or _WINTER.search(text) is not None


def unclear_zone(name: str) -> str | None:
    """What stands in brackets or behind a comma in the name of a time column, and may be a zone that is not known."""
    inside = [part[1:-1] for part in re.findall(r"\([^()]*\)|\[[^\[\]]*\]|（[^（）]*）", name)]
    behind = re.split(r"[,，;]", re.sub(r"\([^()]*\)|\[[^\[\]]*\]|（[^（）]*）", " ", name))[1:]
    for piece in (piece.strip() for said in (*inside, *behind) for piece in re.split(r"[,;，；]", said)):
        words = re.findall(r"[^\W\d_]+", piece.casefold())
        if words and not (says_nothing(piece) or set(words) <= _SAID_OF_TIMES or _FORM.fullmatch(piece)):
            return piece
    return None


def offset_of(text: str, *, minutes: bool = False) -> str | None:
    """The offset that a bare number means; None: it is none.

    It is of hours up to 15, of minutes where that is said or up to 999, else of seconds.
    """
    if (number := _AHEAD.fullmatch(text)) is None:
        return None
    whole = int(number["number"])
    minute = 1.0 if minutes or 15 < whole < 1000 else 1 / 60 if whole >= 1000 else 60.0
    ahead = round(float(number["number"] + (number["part"] or "")) * minute)
    return f"{number['sign'] or '+'}{ahead // 60:02}:{ahead % 60:02}"


def zone_of_line(line: str) -> str | None:
    """Find the zone that a line of the heading states; the text itself, if it is none that is known."""
    if (match := _ZONE_KEY.search(line)) is None:
        if (other := _BARE_ZONE_KEY.fullmatch(line)) is not None:
            return zone_in(other["rest"], column=True)
        return zone_in(line, column=False) if _ZONE_SENTENCE.search(line) else None
    rest = _UNIT_BEHIND.sub("", match["rest"].strip(" \"'\t,;"))
    if (zone := offset_of(rest, minutes=match["minutes"] is not None)) is not None:
        return zone
    if (clock := _OFFSET_AS_CLOCK.fullmatch(rest)) is not None:
        return f"{clock['sign'] or '+'}{int(clock['hour']):02}:{clock['minute']}"
    if (zone := zone_in(rest, column=True)) is not None:
        return zone
    return None if _UNSAID.search(rest) else rest


def is_unclear_zone(line: str) -> bool:
    """Tell whether a line of the heading is one such as ``Zone: North``, which names no zone of time that is known."""
    other = _BARE_ZONE_KEY.fullmatch(line)
    return other is not None and bool(other["rest"].strip()) and zone_of_line(line) is None


def zone_of_prose(line: str) -> str | None:
    """The zone of which a line of the heading speaks without a key, and not behind a stamp of its own."""
    text = re.sub(
        rf"(?:{DATE_TEXT})[T ,;]+\d{{1,2}}:\d\d\S*(?: ?[AaPp][Mm])? ?(?:(?:UTC|GMT)? ?[+-]\d[\d:]*|[A-Z]{{3,5}}\b)?",
        " ",
        line,
    )
    stated = any(pattern.search(text) for pattern in (_ZONE_PROSE, _NAMED, _OF_CITIES))
    said = _ABBREVIATED.fullmatch(text.strip()) or (_ABBREVIATED.search(text) and _SPEAKS_OF_TIMES.search(text))
    return zone_in(text, column=False) if stated or said else None
