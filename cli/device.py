"""``greenmine device``: how devices speak."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import cyclopts
import msgspec
from rich.console import Console
from rich.table import Table

from greenmine import times
from greenmine.batch import Batch
from greenmine.cli import credentials
from greenmine.cli.registry import loaded_registry
from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.entries import Device, Position, Profile, Site, Station
from greenmine.registry import Channel, Registry
from greenmine.settings import Settings
from greenmine.shipped_profiles import ShippedProfiles
from greenmine.tables import nearest
from greenmine.topics import OWN, TopicPattern
from greenmine.units import conversion
from greenmine.zones import Zone

app = cyclopts.App(name="device", help="Devices: what their messages become, and their accounts at the broker.")
credentials.register(app)

_INPUT: Final = Path("-")
_SITE: Final = "try"
_DEVICE: Final = "device"
_HERE: Final = Position(latitude=0.0, longitude=0.0)


@app.command(name="try")
def try_(
    profile: str,
    file: Annotated[Path, cyclopts.Parameter(allow_leading_hyphen=True)] = _INPUT,
    /,
    *,
    topic: str | None = None,
    registry: Path | None = None,
    format: Literal["text", "json"] = "text",  # noqa: A002 -- the option's name
) -> None:
    """Show what a payload becomes with a profile: readings, or rejections with their reasons.

    Nothing is stored, and no broker is needed. All parameters that the profile knows are taken to be the device's. Exits
    with 0 whatever the payload is like, and with 1 if the profile or the file cannot be used.

    Parameters
    ----------
    profile : str
        Id of a profile of the registry, or of one that ships with greenmine.
    file : Path
        File with the payload of one message; - or nothing: standard input.
    topic : str, optional
        Topic of the message; needed where it names the value, as ESPHome's does.
    registry : Path, optional
        Directory of the registry. Without it, that of the settings (GREENMINE_REGISTRY), or the one that ships with
        greenmine.
    format : {"text", "json"}
        Tables to read, or one JSON object.
    """
    known = loaded_registry(registry, [profile])
    chosen = _profile(known, profile)
    name = _name(chosen, topic)
    payload = _payload(file)
    attempt = _attempt(known, chosen)
    builder = BatchBuilder(attempt, Settings())
    builder.add(OWN.format(site=_SITE, device=_DEVICE) if name is None else f"try/{name}", payload, times.now())
    result = _result(attempt, profile, builder.finish()) | {"deviations": dict(builder.deviations)}
    if format == "json":
        sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=2) + "\n")
    else:
        _show(result)


def _profile(registry: Registry, name: str) -> Profile:
    if name in registry.profiles:
        return registry.profiles[name]
    shipped = ShippedProfiles.shipped()
    why = shipped.refusal(name) or f"there is no profile {name!r}; {nearest(name, [*registry.profiles, *shipped.ids])}"
    raise _end(f"{why}.")


def _name(profile: Profile, topic: str | None) -> str | None:
    """What the topic says at {name}; None if the profile's values have no names."""
    names = [value.name for value in profile.mapping.values if value.name] if profile.mapping else []
    if topic is None:
        if names:
            raise _end(f"The topic names the value; say --topic, one of {', '.join(profile.topics)}.")
        return None
    patterns = [TopicPattern(text) for text in profile.topics]
    for pattern in patterns:
        said = pattern.match(topic)
        if said is not None:
            name = dict(zip(pattern.places, said, strict=True)).get("name")
            if name is not None and name not in names:
                raise _end(f"The profile has no value with the name {name!r}; {nearest(name, filter(None, names))}.")
            return name
    if patterns:
        raise _end(f"{topic!r} is no topic of the profile, which has {', '.join(profile.topics)}.")
    return None


def _payload(file: Path) -> bytes:
    if file == _INPUT:
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise _end(f"{file} cannot be read: {error.strerror}.") from None


def _attempt(registry: Registry, profile: Profile) -> Registry:
    """A registry with one device, of this profile."""
    mapping = profile.mapping
    found = profile.units if mapping is None else [value.parameter for value in mapping.values]
    parameters = tuple(dict.fromkeys(found))
    named = mapping is not None and any(value.name for value in mapping.values)
    if mapping is not None:
        mapping = msgspec.structs.replace(mapping, address=None)
    alone = msgspec.structs.replace(profile, mapping=mapping, topics=("try/{name}",) if named else ())
    device = Device(id=_DEVICE, profile=profile.id, station=_SITE, parameters=parameters)
    station = Station(id=_SITE, name_zh="", name_en="", role="boundary", position=_HERE)
    site = Site(
        id=_SITE,
        enterprise=_SITE,
        name_zh="",
        name_en="",
        zone="UTC",
        product_zh="",
        product_en="",
        scale="",
        batch=0,
        batch_years="",
        requirement_items=(),
        source="",
        position=_HERE,
        stations=(station,),
        devices=(device,),
    )
    channels: list[Channel] = []
    for index, name in enumerate(parameters):
        parameter = registry.parameters[name]
        scale, offset = conversion(profile.units.get(name, parameter.unit), parameter.unit)
        channels.append(
            Channel(
                index=index,
                key=name,
                site=_SITE,
                station=_SITE,
                device=_DEVICE,
                parameter=parameter,
                interval=1000,
                scale=scale,
                offset=offset,
                sends_flags=profile.sends_flags,
            )
        )
    return replace(registry, sites=(site,), profiles={profile.id: alone}, channels=tuple(channels), rules=())


def _result(registry: Registry, profile: str, batch: Batch) -> dict[str, Any]:
    readings = batch.readings
    columns = (readings.channel, readings.value, readings.flag)
    rows = zip(Zone("UTC").text(readings.time), *(column.tolist() for column in columns), strict=True)
    return {
        "profile": profile,
        "readings": [
            {
                "time": stamp,
                "parameter": registry.channels[channel].parameter.id,
                "value": None if math.isnan(value) else value,
                "unit": registry.channels[channel].parameter.unit,
                "flag": chr(flag),
            }
            for stamp, channel, value, flag in rows
        ],
        "rejections": [
            {"reason": rejection.reason, "readings": rejection.readings, "detail": rejection.detail}
            for rejection in batch.rejections
        ],
    }


def _show(result: dict[str, Any]) -> None:
    console = Console()
    readings, rejections = result["readings"], result["rejections"]
    if readings:
        table = Table("time", "parameter", "value", "unit", "flag", title="Readings")
        for row in readings:
            value = "–" if row["value"] is None else f"{row['value']:.10g}"
            table.add_row(row["time"], row["parameter"], value, row["unit"], row["flag"])
        console.print(table)
    if rejections:
        table = Table("reason", "readings", title="Rejections")
        table.add_column("detail", overflow="fold")
        for row in rejections:
            table.add_row(row["reason"], str(row["readings"]), row["detail"])
        console.print(table)
    if tolerated := result["deviations"]:
        console.print(f"Tolerated: {', '.join(tolerated)}")
    if not readings and not rejections:
        console.print("The message holds no readings, and the profile says that this is as it should be.")


def _end(text: str) -> SystemExit:
    """The end of the program, with what is wrong on standard error."""
    sys.stderr.write(f"{text}\n")
    return SystemExit(1)
