"""What the files of a registry hold: enterprises, sites, stations, devices, profiles, calibrations."""

from __future__ import annotations

import base64
from datetime import date, datetime
from typing import Annotated, Final, Literal

import msgspec

from greenmine.mapping import Mapping
from greenmine.tables import Id, Number, Shown

Role = Literal["reference", "boundary", "receptor", "outfall", "weather", "equipment"]

NoiseClass = Literal["0", "1", "2", "3", "4", "4a", "4b"]
"""Class of the functional area for noise, GB 3096-2008 and GB 12348-2008."""


Level = Annotated[float, msgspec.Meta(ge=0, le=160)]
"""A sound level [dB]."""
_CLOCK_SPAN: Final = r"^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)\Z"


class Enterprise(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The owner of sites: the tenant."""

    id: Id
    name_zh: str
    name_en: str


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a station stands [degrees WGS 84, m above ground]."""

    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    height: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 3.0


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stricter value that the enterprise has set itself for a limit; it can never loosen the legal one."""

    limit: str
    high: Number | None = None
    low: Number | None = None
    kind: Literal["target", "warning"] = "target"
    valid_from: date
    valid_to: date | None = None
    """Last day in force, inclusive; None: until further notice."""
    source: str


class Background(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A measured level without the noise source; it holds from its day on, until the next one of the same period."""

    date: date
    period: Literal["daytime", "nighttime"]
    level: Level
    """[dB]"""
    source: Shown
    """Report or record in which it is written."""


class Station(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A place at a site where instruments stand."""

    id: Id
    name_zh: str
    name_en: str
    role: Role
    position: Position
    noise_class: NoiseClass | None = None
    night_events: Literal["frequent", "occasional"] | None = None
    """What a person decided the sound events of nights here to be; None: told by their number and hours."""
    backgrounds: tuple[Background, ...] = ()
    """Background levels measured here, by which levels of the source are corrected."""
    flow: str | None = None
    """Station whose flow meter tells when water is discharged here; None: its own, if it has one."""
    limits: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From ``valid_from`` on, true value = slope · raw + offset, in the canonical unit."""

    station: str
    parameter: str
    valid_from: Annotated[datetime, msgspec.Meta(tz=True)]
    slope: Number = 1.0
    offset: Number = 0.0
    certificate: Shown
    note: str = ""


class Neighbour(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A weather station of another site on which the noise of a site rests: all that the site has to know of it."""

    site: Id
    station: Id
    name_zh: str
    """With the name of its site."""
    name_en: str
    position: Position
    intervals: dict[str, int]
    """Time between readings of each parameter that is lent [ms]."""
    measures_to: dict[str, Number] = {}
    calibrations: tuple[Calibration, ...] = ()

    @property
    def id(self) -> str:
        """Id as a station of the site that borrows."""
        return f"{self.site}.{self.station}"

    def as_station(self) -> Station:
        """The station as one of the site that borrows."""
        return Station(id=self.id, name_zh=self.name_zh, name_en=self.name_en, role="weather", position=self.position)


class LoggerProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a data logger speaks HJ 212; nothing of it is found out by trying."""

    st: str = ""
    """System code that its frames carry; empty: any."""
    version: Literal[2005, 2017, 2025] | None = None
    """Edition that its frames are of; None: any."""
    crc: Literal["hj212", "modbus-high", "modbus-low"] = "hj212"
    crc_of: dict[str, Literal["hj212", "modbus-high", "modbus-low"]] = {}
    """Check sums of single commands CN, where they differ."""
    plain_length: bool = True
    """Whether encrypted frames tell the length of their plain segment, as in the examples of HJ 212-2025; else of what travels."""
    sentinels: tuple[Number, ...] = ()
    """Numbers that mean "no value", beyond those of the standard."""
    readings_from: Literal["2011", "2051"] = "2011"
    """Command whose values are readings; those of the other data commands are reported aggregates."""
    minutes: Literal[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30] = 1
    """Interval of its minute data."""
    sets_minutes: bool = False
    """Whether it is told that interval at the first link."""
    ignored: tuple[str, ...] = ()
    """Factor codes that it sends and nobody wants."""
    states: dict[str, Literal["on", "off"]] = {}
    """What the marks of working conditions mean that it sends in place of numbers (HJ 212-2025, ST 45)."""
    on_above: dict[str, Number] = {}
    """Factor code of a current or power → value above which the equipment is on (HJ 212-2025, ST 44)."""
    obeys: bool = True
    """Whether it carries out requests; if not, it is sent none."""
    sets_clock: bool = True
    """Whether its clock is set at the first link; when it asks for that it is set anyway."""
    real_time_seconds: Annotated[int, msgspec.Meta(ge=30, le=3600)] | None = None
    """Interval of real-time data that it is told at the first link; None: its own."""
    real_time: bool | None = None
    """Whether it is told at the first link to send real-time data, or to stop it; None: to send it if it is read."""
    equipment_state: bool | None = None
    """The same for the state of equipment; None: to send it if the logger has a channel of it."""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a kind of device speaks; nothing of it is guessed."""

    id: Id
    format: Literal["greenmine", "senml", "thingsboard", "mapped", "hj212"]
    zone: str = ""
    """Zone in which naive timestamps are read; only a mapped profile may leave it out, and then rejects them."""
    interval: str
    """Time between readings, e.g. ``"60s"``."""
    sends_flags: bool
    """Whether readings carry data flags; if not, a reading without one is normal."""
    receive_time: bool = False
    """Whether a payload without a time takes the time of receipt; if not, it is rejected."""
    units: dict[str, str] = {}
    """Unit that the device sends, per parameter; a mapped profile has it with each value."""
    fields: dict[str, str] = {}
    """Name in the payload → parameter, where they differ."""
    topics: tuple[str, ...] = ()
    """Topics besides the device's own, see `greenmine.topics`."""
    mapping: Mapping | None = None
    """How a mapped profile finds readings."""
    hj212: LoggerProfile | None = None
    """More about a logger of the format ``hj212``; None: all as in the standard."""


class Verification(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A term in which an instrument counts as verified (检定) or calibrated by a competent body; both days are included."""

    valid_from: date
    valid_to: date
    certificate: Shown
    parameter: str | None = None
    """None: for everything that the device measures."""


class SenderKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key with which a device, or the gateway in front of it, signs its messages; both days are included."""

    public: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9+/]{43}=\Z")]
    """Ed25519 public key: its 32 bytes in base64."""
    valid_from: date
    valid_to: date | None = None
    """None: until further notice."""

    @property
    def raw(self) -> bytes:
        """The key's 32 bytes."""
        return base64.b64decode(self.public)


class AcousticCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A look at the tone of a sound calibrator on the spot (GB 12348-2008, 5.1.2)."""

    time: Annotated[datetime, msgspec.Meta(tz=True)]
    found: Level
    """Level shown before anything was adjusted [dB]."""
    left: Level | None = None
    """Level shown when the check was over [dB]; None: nothing was adjusted."""


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What publishes; its credentials name it. Every parameter becomes one channel of the station."""

    id: Id
    profile: str
    station: str
    parameters: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    model: str = ""
    serial: str = ""
    measures_to: dict[str, Number] = {}
    """Upper end of the measuring range, per parameter in its canonical unit; a value beyond it is a lower bound."""
    method: dict[str, Shown] = {}
    """Principle of measurement, per parameter, such as ``beta-attenuation``."""
    approval: dict[str, Shown] = {}
    """Type approval or product certificate, per parameter, by its number."""
    verified: tuple[Verification, ...] = ()
    grade: Literal[1, 2] | None = None
    """Class of a sound level meter by GB/T 3785 (GB 12348-2008, 5.1.1)."""
    checks: tuple[AcousticCheck, ...] = ()
    keys: tuple[SenderKey, ...] = ()
    """In whose terms messages that none of them signed are refused."""
    state: Literal["actual", "standard"] = "actual"
    """State of gas of the concentrations that it sends: that of the air, or already that in which emission limits are given."""
    address: str = ""
    """What its topics or payloads call it, where its profile has an address."""
    topics: tuple[str, ...] = ()
    """Topics in place of its profile's."""
    mn: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z_-]*\Z", max_length=40)] = ""
    """MN by which a logger of the format ``hj212`` names itself."""


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something done against dust or noise whose effect is to be shown."""

    id: Id
    name_zh: str
    name_en: str
    kind: Literal["sprayers", "enclosure", "schedule"]
    station: str
    """Where its effect is looked for."""
    parameter: str
    reference: str | None = None
    """Station of the same parameter that shows what comes from elsewhere; it is subtracted."""
    equipment: str | None = None
    """Station whose ``equipment-state`` tells when the measure is on."""
    runs: tuple[Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d\Z")], ...] = ()
    """When the equipment runs every day whatever the dust is, ``HH:MM-HH:MM`` in the site's zone."""
    since: date | None = None
    """Day from which on the measure is in place; for what has no ``equipment``."""
    activity: str | None = None
    """Station whose ``equipment-state`` tells when the mine works."""
    source: str


FileName = Annotated[str, msgspec.Meta(pattern=r"^[^./\\:][^/\\:]*\Z", max_length=200)]
"""Name of a file in ``documents/SITE/`` of the registry."""


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file that proves a requirement item; it lies in ``documents/SITE/`` of the registry."""

    item: str
    """One of the site's requirement items."""
    file: FileName
    title_zh: str
    title_en: str = ""


class Working(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the working time of a site is known: by equipment, by a timetable, or by it where equipment is silent."""

    equipment: str | tuple[str, ...] = ()
    """Stations whose ``equipment-state`` tells: the site works while one of them is on."""
    hours: tuple[Annotated[str, msgspec.Meta(pattern=_CLOCK_SPAN)], ...] = ()
    """Working hours of every day, ``HH:MM-HH:MM`` in the site's zone; what ends before it begins ends on the next day."""


class ReferenceResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A laboratory's result (手工监测结果) at a station over an hour, by the method that the limit's standard names."""

    station: str
    parameter: str
    start: Annotated[datetime, msgspec.Meta(tz=True)]
    end: Annotated[datetime, msgspec.Meta(tz=True)]
    value: Number
    """In the parameter's own unit, and in the state of gas in which the limit is given."""
    laboratory: Shown
    certificate: Shown
    """Number of its accreditation (CMA 资质认定)."""
    method: Shown
    document: Shown
    """The report by its number or file."""


Unit = Literal["township", "land", "finance", "environment", "water", "quality", "safety", "forestry", "banking"]
"""Responsible units of 万州府办发〔2017〕113号: township or subdistrict, and the departments of the district."""

StageName = Literal["filed", "self-assessed", "third-party", "accepted", "listed", "removed"]
"""Stages of a green mine: 备案, 自评, 第三方评估, 验收, 入名录, 移出."""

ApprovalKind = Literal[
    "environment", "safety", "water-and-soil", "exploitation", "restoration", "reclamation", "mining-licence", "other"
]
"""环评, 安评, 水土保持, 开发利用, 恢复治理, 土地复垦, 采矿许可, others."""


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stage that a mine has reached on a day."""

    stage: StageName
    day: date
    by: str = ""
    """Who decided it."""
    file: FileName | None = None


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An approval (批复) that the mine works under."""

    kind: ApprovalKind
    number: str
    issuer: str
    day: date
    file: FileName | None = None
    limits: tuple[str, ...] = ()
    """Limits that it names, by their ids in the catalogue: what it says they rest on."""


class Inspection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A look of a responsible unit at a mine (监督检查), and by when what it found is to be put right."""

    day: date
    unit: Unit
    finding: str
    deadline: date | None = None
    """None: nothing is to be done."""
    done: date | None = None
    note: str = ""
    """How it was put right."""
    file: FileName | None = None

    def overdue(self, today: date) -> bool:
        """Whether the deadline has passed and nothing was put right."""
        return self.deadline is not None and self.done is None and today > self.deadline


ALL_SITES: Final = "district"
"""In place of a site's id: of the district as a whole; no site is called so."""


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One mine."""

    id: Id
    enterprise: str
    name_zh: str
    name_en: str
    short_name_zh: str = ""
    """For lists, legends and tables, where all names begin alike; empty: the name."""
    short_name_en: str = ""
    zone: str
    township_zh: str = ""
    product_zh: str
    product_en: str
    scale: str
    batch: int
    batch_years: str
    requirement_items: tuple[str, ...]
    source: str
    note_zh: str = ""
    note_en: str = ""
    works: bool = False
    """Whether bricks or tiles are made here: such works fall under GB 29620, a mere quarry under GB 16297."""
    established: date | None = None
    """Day on which the assessment (环评) of the enterprise was approved; None: before any limit distinguishes new ones."""
    position: Position
    """Where dust comes from (the centre of the pit); upwind and downwind are told from here."""
    weather: str | None = None
    """Station whose wind and rain hold for the noise of the site, as a file says it with ``site/`` before it where it is of another
    site; None: the first wind and the first rain of its own channels."""
    county: str | None = None
    """Station at which the county's own figures come in, for limits that subtract them; None: there is none."""
    working: Working | None = None
    """When the noise sources of the site work; None: not known."""
    stations: tuple[Station, ...] = ()
    devices: tuple[Device, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    references: tuple[ReferenceResult, ...] = ()
    measures: tuple[Measure, ...] = ()
    documents: tuple[Document, ...] = ()
    stages: tuple[Stage, ...] = ()
    approvals: tuple[Approval, ...] = ()
    inspections: tuple[Inspection, ...] = ()

    def borrowing(self, neighbour: Neighbour) -> Site:
        """The mine with the weather station of another as one of its own."""
        return msgspec.structs.replace(
            self,
            weather=neighbour.id,
            stations=(*self.stations, neighbour.as_station()),
            calibrations=(
                *self.calibrations,
                *(msgspec.structs.replace(one, station=neighbour.id) for one in neighbour.calibrations),
            ),
        )

    def approvals_of(self, limit: str) -> tuple[Approval, ...]:
        """Approvals that name a limit; of one without any nobody has shown on what it rests here."""
        return tuple(approval for approval in self.approvals if limit in approval.limits)

    def without_file(self) -> Site:
        """The mine without its acceptance file, on which no figure rests."""
        return msgspec.structs.replace(self, stages=(), approvals=(), inspections=())
