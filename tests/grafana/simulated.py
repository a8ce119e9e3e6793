"""A record of seven simulated days, made by the mines and the pipeline themselves, without a broker between them."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.grafana.influx.influx_schema import DISTRICT
from greenmine.loading import load_registry
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import DEFAULT, Registry
from greenmine.settings import Settings
from greenmine.simulators.mine import stream

HOUR = 3_600_000
DAY = 24 * HOUR
END = 20_773 * DAY + 6 * HOUR + 17 * 60_000
"""A Monday 14:17 in Wanzhou [ms UTC]; exceedances are under way."""
START = END - 7 * DAY
SITES = ("kunyin", "yanjing", "jiuchi")
_TOGETHER = 3_000
"""Messages in a batch."""
_SOUND = 'id = "boundary-noise"\n'
_PAPERS = """method = { laeq = "sound-level-meter", lafmax = "sound-level-meter" }
approval = { laeq = "CPA 2020F000", lafmax = "CPA 2020F000" }
grade = 1
verified = [{ valid_from = 2020-01-01, valid_to = 2099-12-31, certificate = "example" }]
checks = [{ time = 2020-01-01T00:00:00Z, found = 94.0 }, { time = 2099-12-31T00:00:00Z, found = 94.0 }]
"""
"""Of a sound level meter whose verdicts are statutory."""
_OWN = "high = 48"
_WORKING = '[working]\nhours = ["00:00-24:00"]\n\n'


def registry_of(folder: Path) -> Registry:
    """The mines that ship, with a reading in five minutes instead of one, and what they seldom have.

    Jiuchi warns itself early, so that there are warnings. The sound level meter at Kunyin's boundary has all papers, its working
    time is known and its class is the strictest, so that there are statutory verdicts, and days that exceed.
    """
    shutil.copytree(DEFAULT, folder)
    profiles = folder / "profiles.toml"
    profiles.write_text(profiles.read_text("utf-8").replace('interval = "60s"', 'interval = "300s"'), "utf-8")
    path = folder / "sites" / "jiuchi.toml"
    text = path.read_text("utf-8")
    assert text.count("high = 600") == 1
    path.write_text(text.replace("high = 600", "high = 100"), "utf-8")
    path = folder / "sites" / "kunyin.toml"
    text = path.read_text("utf-8")
    assert (text.count(_SOUND), text.count(_OWN)) == (1, 1)
    text = (
        text.replace(_SOUND, _SOUND + _PAPERS)
        .replace(_OWN, "high = 39")
        .replace("[position]", f"{_WORKING}[position]", 1)
    )
    text = text.replace("gb12348-class2", "gb12348-class0").replace('noise_class = "2"', 'noise_class = "0"', 1)
    path.write_text(text, "utf-8")
    return load_registry(folder)


def simulate(settings: Settings, registry: Registry, sites: Collection[str], start: int, end: int, seed: int) -> Record:
    """Commit what the mines of some sites send from ``start`` to before ``end`` [ms UTC]."""
    engine = open_engine(settings.record_place)
    migrate(engine)
    record = Record(engine, registry)
    pipeline = Pipeline(registry, record, now=start)
    builder = BatchBuilder(registry, settings)
    now = start
    for message in stream(registry, sites, seed, start, end):
        now = message.time_sent + 200
        builder.add(message.topic, message.payload, now)
        if len(builder) == _TOGETHER:
            pipeline.commit(builder.finish(), now)
            pipeline.wait(now)
    pipeline.commit(builder.finish(), now)
    pipeline.wait(end)
    return record


def sample(minute: int, end: int, bucket: str = DISTRICT) -> str:
    """Lines of what the running processes say of themselves in a minute of the hour before ``end`` [ms UTC]."""
    now = end - HOUR + minute * 60_000
    worker = (
        f"worker,name=worker connected=1i,uptime={minute * 60}.0,messages={1000 + 40 * minute}i,unacknowledged=0i,"
        f"retries=0i,failures=0i,commit_p50=2.5,commit_p99=11.0 {now}\n"
    )
    lag = 2.0 if minute < 50 else 900.0
    projection = f"projection,bucket={bucket} lag={lag},backlog=3i,written=5i,refused=0i,failures=0i {now}"
    return (worker if bucket == DISTRICT else "") + projection
