"""A small mine whose record the uplink sends, and what the platform must have of it in the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from greenmine.collector.hj212.compose import write_time
from greenmine.readings import Readings
from greenmine.record import schema
from greenmine.record.record import Record
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from tests.processing.mine import HOUR, MINUTE, Station, batch_of, channel, every, readings, record_at
from tests.records import record_in

MINE = (
    Station("south", ("tsp", "pm10"), place=(29.99, 108.0)),
    Station("fence", ("laeq", "lafmax")),
    Station("pond", ("flow", "ph"), "900s"),
    Station("yard", ("equipment-state",)),
)
START = 1_740_960_000_000
"""A Monday 08:00 in Asia/Shanghai [ms UTC]."""
WORD = "abcdef"
__all__ = ["HOUR", "MINUTE"]

CODES = {"mine/south/tsp": "a34001", "mine/south/pm10": "a34002", "mine/fence/laeq": "Leq", "mine/fence/lafmax": "LMx"}

FEED = """
[[feeds]]
id = "{id}"
site = "mine"
host = "127.0.0.1"
port = {port}
mn = "{mn}"
password_env = "UPLINK_WORD"
st = "39"
version = {version}
commands = {commands}
min_interval = {minutes}
wait = "1ms"
overtime = {overtime}
recount = 3
longest_pause = 0.3
{since}
"""

DUST = """
[[feeds.factors]]
station = "south"
parameter = "tsp"
unit = "mg/m3"

[[feeds.factors]]
station = "south"
parameter = "pm10"
"""

NOISE = """
[[feeds.factors]]
station = "fence"
parameter = "laeq"
instant = "LA"

[[feeds.factors]]
station = "fence"
parameter = "lafmax"
"""

EQUIPMENT = """
[[feeds.factors]]
station = "yard"
parameter = "equipment-state"
code = "SB1"
"""

WATER = """
[[feeds.factors]]
station = "pond"
parameter = "flow"

[[feeds.factors]]
station = "pond"
parameter = "ph"
"""


def plan_of(folder: Path, port: int, factors: str = DUST, **options) -> Path:
    """A plan with one feed."""
    given = {
        "id": "dust",
        "mn": "AABBCCDDEEFF001122334455",
        "version": 2017,
        "commands": '["2011", "2051", "2061", "2031"]',
        "minutes": 10,
        "overtime": 10,
        "since": "since = 2025-01-01T00:00:00+08:00",
        **options,
    }
    path = folder / "uplink.toml"
    path.write_text(FEED.format(port=port, **given) + factors, encoding="utf-8")
    return path


@dataclass
class Mine:
    """An installation in a folder, whose record grows."""

    registry: Registry
    folder: Path

    def __post_init__(self) -> None:
        self.place = record_in(self.folder)
        self.record: Record = record_at(self.place, self.registry)
        self.pipeline = Pipeline(self.registry, self.record)

    def commit(self, key: str, times, values, flags: str = "N") -> None:
        """Commit readings of a channel as one batch."""
        self.put([readings(channel(self.registry, key), times, values, flags)])

    def put(self, parts: list[Readings]) -> None:
        some = Readings.concat(parts)
        self.pipeline.commit(batch_of(self.registry, some), int(some.time.max()) + 1000)

    def live(self, start: int, end: int, step: int = 10 * MINUTE) -> None:
        """Commit what the instruments measure, in batches of some minutes."""
        for begin in range(start, end, step):
            times = every(begin, min(begin + step, end))
            self.put(
                [readings(channel(self.registry, key), times, wave(key, times)) for key in CODES]
                + [
                    readings(channel(self.registry, key), slow, wave(key, slow))
                    for key in ("mine/pond/flow", "mine/pond/ph")
                    if len(slow := times[times % (15 * MINUTE) == 0])
                ]
            )

    def latest(self, key: str, window: str) -> list[dict]:
        """The newest revisions of a channel's figures."""
        table = schema.statistic.c
        number = int(self.record.channel_ids[channel(self.registry, key)])
        found = sa.select(schema.statistic).where(table.latest, table.channel == number, table.window == window)
        return [dict(row) for row in self.record.rows(found.order_by(table.start))]


def wave(key: str, times) -> np.ndarray:
    """Values that never repeat within a day and tell which channel they are of."""
    base, swing = {
        "mine/south/tsp": (200.0, 90.0),
        "mine/south/pm10": (80.0, 30.0),
        "mine/fence/laeq": (52.0, 5.0),
        "mine/fence/lafmax": (60.0, 5.0),
        "mine/pond/flow": (3.0, 1.0),
        "mine/pond/ph": (7.2, 0.3),
    }[key]
    minutes = (np.asarray(times) - START) / MINUTE
    return np.round(base + swing * np.sin(minutes / 97.0) + minutes % 60 / 60, 2)


def datatimes(platform, cn):
    return [message.time for message in platform.arrivals if message.cn == cn]


def values(platform, cn, code, kind):
    return {key[2]: value for key, value in platform.taken.items() if (key[1], key[3], key[4]) == (cn, code, kind)}


def missing(mine, platform, start, end) -> dict:
    """Where what the platform has differs from what the record has."""
    found = {}
    for key, code, scale, decimals in (("mine/south/tsp", "a34001", 1000, 4), ("mine/south/pm10", "a34002", 1, 1)):
        index = next(c.index for c in mine.registry.channels if c.key == key)
        rows = mine.record.readings(index, start, end)
        expected = {write_time(t): (f"{v / scale:.{decimals}f}", chr(f)) for t, v, f, _ in rows.tolist()}
        found["2011", code] = expected.items() ^ values(platform, "2011", code, "Rtd").items()
        for cn, window in (("2061", "hour"), ("2031", "day")):
            figures = {
                write_time(row["start"]): (f"{row['mean'] / scale:.{decimals}f}", "N" if row["valid"] else "D")
                for row in mine.latest(key, window)
                if row["mean"] is not None
            }
            found[cn, code] = figures.items() ^ values(platform, cn, code, "Avg").items()
    return {key: different for key, different in found.items() if different}


def assert_complete(mine, platform, start, end) -> None:
    """What the platform has in the end is what the record has."""
    assert missing(mine, platform, start, end) == {}


async def until(holds):
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what is waited for knows no event
            await asyncio.sleep(0.02)
