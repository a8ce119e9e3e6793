"""What follows from device profiles, and what may be wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from greenmine.durations import parse_duration
from greenmine.entries import Profile
from greenmine.expression import Expression, ExpressionError
from greenmine.mapping import Binary, MappedValue, Mapping, Record
from greenmine.parameters import Parameter
from greenmine.readings import FLAGS, NORMAL
from greenmine.resolution import Speech
from greenmine.shipped_profiles import ShippedProfiles
from greenmine.tables import Entry, nearest
from greenmine.topics import TopicError, TopicPattern
from greenmine.units import UnitError, conversion

_AGES: Final = ("ms-ago", "s-ago", "min-ago")
_FORMS: Final = ("iso", "s", "ms", *_AGES)
_PROBE: Final = datetime(2026, 11, 22, 13, 45, tzinfo=UTC)
"""An instant no two numbers of which are alike."""
_PERCENT_FORMS: Final = "iso, s, ms, ms-ago, s-ago, min-ago, or a form such as '%d.%m.%Y %H:%M:%S'"


class ProfileCheck:
    """What follows from profiles; ``faults`` receives what is wrong with them.

    Parameters
    ----------
    parameters : dict of str to Parameter
        The catalogue.
    shipped : ShippedProfiles
        The shipped profiles.
    faults : list of str
        Receives one text for each fault.
    """

    def __init__(self, parameters: dict[str, Parameter], shipped: ShippedProfiles, faults: list[str]) -> None:
        self._parameters = parameters
        self._shipped = shipped
        self._faults = faults

    def speech(self, entry: Entry[Profile]) -> Speech | None:
        """What follows from a profile; None if it is faulty."""
        profile, place = entry.value, entry.place
        if profile is None:
            return None
        before = len(self._faults)
        if profile.zone:
            check_zone(profile.zone, f"{place}: zone", self._faults)
        elif profile.format != "mapped":
            self._faults.append(f"{place}: zone is missing; a text")
        interval = _duration(profile.interval, f"{place}: interval", self._faults)
        self._check_topics(place, profile)
        if (profile.format == "mapped") != (profile.mapping is not None):
            self._faults.append(f'{place}: mapping belongs to format = "mapped", and such a profile needs one')
        conversions = self._units(place, profile)
        self._check_fields(place, profile)
        if profile.mapping is not None:
            conversions |= _MappingCheck(self._parameters, self._faults, place, profile, profile.mapping).conversions()
        if profile.hj212 is not None and profile.format != "hj212":
            self._faults.append(f"{entry.place}: hj212: belongs to profiles of the format hj212, not {profile.format}")
        return Speech(profile, interval, conversions) if len(self._faults) == before else None

    def _check_topics(self, place: str, profile: Profile) -> None:
        for text in profile.topics:
            try:
                pattern = TopicPattern(text)
            except TopicError as error:
                self._faults.append(f"{place}: topics: {error}")
                continue
            if (why := self._shipped.refused_topic(pattern)) is not None:
                self._faults.append(f"{place}: topics: {text!r}: {why}")

    def _units(self, place: str, profile: Profile) -> dict[str, tuple[float, float]]:
        if profile.mapping is not None and profile.units:
            self._faults.append(f'{place}: units: a mapped profile says the unit with each value, as unit = "ug/m3"')
        if profile.format != "mapped" and not profile.units:
            self._faults.append(f"{place}: units is missing; a table")
        conversions: dict[str, tuple[float, float]] = {}
        for name, unit in profile.units.items():
            try:
                conversions[name] = conversion(unit, self._parameters[name].unit)
            except KeyError:
                self._faults.append(f"{place}: units: {_no_parameter(name, self._parameters)}")
            except UnitError as error:
                self._faults.append(f"{place}: units: {name}: {error}")
        return conversions

    def _check_fields(self, place: str, profile: Profile) -> None:
        given: dict[str, str] = {}
        for field, name in profile.fields.items():
            if name not in self._parameters:
                self._faults.append(f"{place}: fields: {_no_parameter(name, self._parameters)}")
            elif given.setdefault(name, field) != field:
                self._faults.append(f"{place}: fields: {given[name]!r} and {field!r} both stand for {name}; keep one")


class _MappingCheck:
    """One look at a mapping."""

    def __init__(
        self, parameters: dict[str, Parameter], faults: list[str], place: str, profile: Profile, mapping: Mapping
    ) -> None:
        self._parameters = parameters
        self._faults = faults
        self._place = f"{place}: mapping"
        self._profile = profile
        self._mapping = mapping

    def conversions(self) -> dict[str, tuple[float, float]]:
        """The parameters that it finds; their values are converted where they are found, so nothing is left to do."""
        mapping, place = self._mapping, self._place
        for key in ("devices", "address", "ignore", "samples", "time", "flag"):
            self._expression(getattr(mapping, key), f"{place}: {key}")
        if mapping.step is not None:
            _duration(mapping.step, f"{place}: step", self._faults)
        if mapping.devices is not None and mapping.address is None:
            self._faults.append(f"{place}: devices needs address: where in each part the address of its device stands")
        self._check_time()
        self._check_binary()
        self._letters(mapping.flags, f"{place}: flags")
        if not mapping.values:
            self._faults.append(f"{place}: values is missing; a list of tables with parameter, value and unit")
        seen: set[tuple[str, str | None]] = set()
        for number, value in enumerate(mapping.values, start=1):
            at = f"{place}: values number {number}"
            if (value.parameter, value.name) in seen:
                self._faults.append(f"{at}: {value.parameter} is there twice; keep one, or give each its name")
            seen.add((value.parameter, value.name))
            self._check_value(at, value)
        flagged = mapping.payload == "hj212" or mapping.flag or all(value.flag for value in mapping.values)
        if self._profile.sends_flags and not flagged:
            self._faults.append(f"{place}: flag is missing; sends_flags promises flags, so say where they stand")
        return {value.parameter: (1.0, 0.0) for value in mapping.values if value.parameter in self._parameters}

    def _check_value(self, place: str, value: MappedValue) -> None:
        for key in ("value", "time", "unit_from", "flag"):
            self._expression(getattr(value, key), f"{place}: {key}")
        if value.name is not None and (not value.name or set(value.name) & set("/+#")):
            self._faults.append(f"{place}: name: {value.name!r} can be no level of a topic")
        self._letters(value.sentinels, f"{place}: sentinels")
        for sent, letter in value.sentinels.items():
            if letter == chr(NORMAL):
                self._faults.append(
                    f"{place}: sentinels: {sent!r} stands for no value, so its flag must be another than N"
                )
        if (value.unit is None) == (value.unit_from is None) or bool(value.units) != (value.unit_from is not None):
            right = 'unit = "ug/m3", or unit_from with units: what it may find and which units these are'
            self._faults.append(f"{place}: say the unit once: {right}")
        if value.scale == 0:
            self._faults.append(f"{place}: scale must not be 0; 1.0 leaves values as they are")
        parameter = self._parameters.get(value.parameter)
        if parameter is None:
            self._faults.append(f"{place}: parameter: {_no_parameter(value.parameter, self._parameters)}")
            return
        for unit in (value.unit, *value.units.values()):
            try:
                if unit is not None:
                    conversion(unit, parameter.unit)
            except UnitError as error:
                self._faults.append(f"{place}: unit: {error}")

    def _check_time(self) -> None:
        mapping, profile, place = self._mapping, self._profile, self._place
        form = mapping.time_form
        timed = mapping.time or (mapping.values and all(value.time for value in mapping.values))
        timed = timed or (mapping.binary is not None and all(record.time for record in mapping.binary.records))
        if not timed and not profile.receive_time:
            self._faults.append(
                f"{place}: time is missing; say where it stands, or allow the time of receipt: receive_time = true"
            )
        if mapping.period is not None and form != "iso":
            self._faults.append(f'{place}: period belongs to time_form = "iso"')
        if form in _FORMS:
            return
        try:
            kept = "%" in form and datetime.strptime(_PROBE.strftime(form), form).replace(tzinfo=UTC) == _PROBE
        except ValueError as error:
            self._faults.append(f"{place}: time_form: {form!r} cannot be read back: {error}")
            return
        if not kept:
            self._faults.append(
                f"{place}: time_form: {form!r} does not give date, hour and minute; write {_PERCENT_FORMS}"
            )

    def _check_binary(self) -> None:
        mapping, place = self._mapping, f"{self._place}: binary"
        binary: Binary | None = mapping.binary
        if binary is None:
            if mapping.payload == "bytes":
                self._faults.append(f'{place} is missing; payload = "bytes" needs it')
            return
        if binary.source is None and mapping.payload == "json":
            self._faults.append(f'{place}: source is missing: say where the text stands, or payload = "bytes"')
        if mapping.payload in {"text", "hj212"}:
            self._faults.append(f'{place}: belongs to payload = "json" or "bytes"')
        if mapping.devices is not None:
            self._faults.append(f"{place}: records are of one device; leave out devices")
        self._expression(binary.source, f"{place}: source")
        for record in binary.records:
            self._check_record(record, f"{place}: record {record.tag!r}")
        if len(binary.records) > 1 and any(not record.tag for record in binary.records):
            self._faults.append(f"{place}: records: one without a tag must be the only one")
        tags = [record.tag for record in binary.records]
        for tag in sorted({tag for tag in tags if tags.count(tag) > 1 or len(tag) != len(tags[0])}):
            self._faults.append(f"{place}: records: the tag {tag!r} is there twice, or not as long as the first")

    def _check_record(self, record: Record, place: str) -> None:
        names = [part.name for part in record.parts]
        if record.time is not None and record.time not in names:
            self._faults.append(f"{place}: time: it has no number {record.time!r}; {nearest(record.time, names)}")
        if not record.tag and not names and not record.skip:
            self._faults.append(f"{place}: has no length; write its parts, or skip")

    def _letters(self, letters: dict[str, str], place: str) -> None:
        for sent, letter in letters.items():
            if letter not in FLAGS:
                self._faults.append(f"{place}: {sent!r} = {letter!r}: the flags are {', '.join(sorted(FLAGS))}")

    def _expression(self, text: str | None, place: str) -> None:
        if text is None:
            return
        try:
            Expression(text)
        except ExpressionError as error:
            self._faults.append(f"{place}: {error}")


def _duration(text: str, place: str, faults: list[str]) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        faults.append(f"{place}: {error}")
        return 0


def check_zone(zone: str, place: str, faults: list[str]) -> None:
    """Report a zone that does not exist."""
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):  # OSError: the name of a folder, such as "Asia"
        near = nearest(zone, sorted(available_timezones()))
        faults.append(f"{place}: there is no time zone {zone!r}; {near}")


def _no_parameter(name: str, known: Iterable[str]) -> str:
    return f"there is no parameter {name!r}; {nearest(name, known)}"
