"""Recomputation of one verdict by anyone: the files that ``greenmine judge`` needs, and the command."""

from __future__ import annotations

import csv
import io
import math
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np

from greenmine.evidence.site_registry import write_site_registry
from greenmine.readings import Readings
from greenmine.registry import Registry, Rule
from greenmine.times import local

_README: Final = """\
重新计算一个判定：先解压，再在解压后的文件夹中执行下面的命令（不需要服务器）。
To compute a verdict once more: unpack, then run this in the unpacked folder; no server is needed.

{command}

registry/      该矿的登记表和当时所用的限值 the mine's registry, and the limits
readings.csv   出具该判定时已收到的读数 readings that had been received when the verdict was issued
marks.csv      当时已有的标注 marks that had been made by then
"""


def judge_command(rule: Rule, day: date) -> str:
    """Return the command that judges a rule's day from the files of `recomputation`."""
    site = rule.site
    return (
        f"greenmine judge --registry registry --readings readings.csv --marks marks.csv --period {day} --site {site} "
        f"--format csv | grep -F -e rule,limit -e {rule.key},"
    )


def recomputation(
    registry: Registry,
    given: Path | None,
    rule: Rule,
    day: date,
    readings: Readings,
    marks: Iterable[Mapping[str, Any]],
) -> bytes:
    """Return a zip with which ``greenmine judge`` comes to the verdicts of a rule on windows that begin on a day.

    Parameters
    ----------
    registry : Registry
        By whose channels the readings are.
    given : Path, optional
        Directory that the registry was read from; None: the one that ships with the package.
    rule : Rule
        Whose verdict it is.
    day : date
        Local day on which its window begins.
    readings : Readings
        Of all channels of the site, over the days that `greenmine.evidence.recompute.days_needed` names.
    marks : iterable of mapping
        Rows of the record's marks.
    """
    site = registry.site(rule.site)
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        folder = Path(name) / "registry"
        write_site_registry(registry, given, site, folder)
        for path in sorted(folder.rglob("*.toml")):
            archive.write(path, path.relative_to(name).as_posix())
        archive.writestr("readings.csv", _readings(registry, readings))
        archive.writestr("marks.csv", _marks(site.zone, marks))
        archive.writestr("README.txt", _README.format(command=judge_command(rule, day)))
    return out.getvalue()


def _readings(registry: Registry, readings: Readings) -> str:
    keys = [channel.key for channel in registry.channels]
    times = np.datetime_as_string(readings.time.astype("datetime64[ms]"), timezone="UTC")
    rows = zip(readings.channel.tolist(), times.tolist(), readings.value.tolist(), readings.flag.tolist(), strict=True)
    return "channel,time,value,flag\n" + "".join(
        f"{keys[channel]},{time},{'' if math.isnan(value) else repr(value)},{chr(flag)}\n"
        for channel, time, value, flag in rows
    )


def _marks(zone: str, marks: Iterable[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    names = ("site", "station", "parameter", "start", "end", "kind", "reason", "author", "confirmed_by")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for mark in marks:
        written = dict(mark) | {name: local(mark[name], zone).isoformat() for name in ("start", "end")}
        writer.writerow([written[name] for name in names])
    return out.getvalue()
