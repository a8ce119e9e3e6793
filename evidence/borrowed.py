"""Weather of another mine on which noise rests: whose it is, where both stand, and how far apart."""

from __future__ import annotations

import msgspec

from greenmine.processing.wind import distance
from greenmine.registry import Registry
from greenmine.wording.words import Words


class BorrowedWeather(msgspec.Struct, frozen=True):
    """A station of noise, and the weather station of another mine whose wind and rain hold for it."""

    site: str
    station: str
    latitude: float
    longitude: float
    weather: str
    """``site/station`` as the registry names it."""
    weather_zh: str
    """Names of that mine and station; empty where they have left the registry, and show nothing any more."""
    weather_en: str
    weather_latitude: float | None
    weather_longitude: float | None
    distance: float | None
    """Between both [m], rounded."""


def borrowed_weather(registry: Registry, site: str) -> list[BorrowedWeather]:
    """Return a row for each station whose noise a limit judges only in good weather, if the site names another mine's."""
    mine, neighbour = registry.site(site), registry.neighbours.get(site)
    named = mine.weather if neighbour is None else f"{neighbour.site}/{neighbour.station}"
    if named is None or "/" not in named:
        return []
    judged = dict.fromkeys(rule.station for rule in registry.site_rules(site) if rule.limit.exclude_weather)
    found = []
    for station in judged:
        here = registry.station(site, station).position
        at = None if neighbour is None else neighbour.position
        found.append(
            BorrowedWeather(
                site,
                station,
                here.latitude,
                here.longitude,
                named,
                "" if neighbour is None else neighbour.name_zh,
                "" if neighbour is None else neighbour.name_en,
                None if at is None else at.latitude,
                None if at is None else at.longitude,
                None if at is None else float(round(distance(here, at))),
            )
        )
    return found


def borrowed_sentence(one: BorrowedWeather, words: Words) -> str:
    """Say whose weather holds for the noise of a station, so that an official can judge whether it may."""
    here = words.name(words.registry.station(one.site, one.station))
    if one.distance is None:
        return words.t("borrowed-weather.left", station=here, weather=one.weather)
    return words.t(
        "borrowed-weather.of",
        station=here,
        place=_place(one.latitude, one.longitude),
        weather=one.weather_zh if words.language == "zh" else one.weather_en,
        there=_place(one.weather_latitude, one.weather_longitude),
        kilometres=words.number(one.distance / 1000, 1 if one.distance >= 100 else 2),
    )


def _place(latitude: float | None, longitude: float | None) -> str:
    return f"{latitude:.4f}, {longitude:.4f}"
