"""Figures of a bundle beside what a simulated mine really was: computed anew with polars from what its instruments showed."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from bench.batches import batch_of
from bench.table import Row
from greenmine.evidence.bundle import Installation, build
from greenmine.evidence.verify import verify
from greenmine.loading import load_registry
from greenmine.readings import NORMAL, Readings
from greenmine.record.archive.archive import Archive
from greenmine.record.archive.signing import SigningKey
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import DEFAULT, Registry, Rule
from greenmine.reporting import Period
from greenmine.simulators.dust import SPRAYER_FACTOR
from greenmine.simulators.mine import Mine, truth

SITE: Final = "hengjie"
FIRST: Final = date(2026, 3, 2)
_MINUTE: Final = 60_000
_HOUR: Final = 3_600_000
_DAY: Final = 86_400_000
_AHEAD: Final = 8 * _HOUR
"""What Asia/Shanghai is ahead of UTC."""
_START: Final = int(datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC).timestamp() * 1000) - _AHEAD
_WEEK: Final = 7
_CALIBRATED: Final = f"{SITE}/receptor/pm10"
_SLOPE, _OFFSET = 1.6, 5.0
_SAME: Final = 1e-9
_TURN: Final = 1e-6
"""Difference of directions that is none [deg]: a mean of angles that nearly cancel is known less well."""
_LEVELS: Final = (10, 50, 90)
_NEED: Final = {"day": 20, "daytime": 12, "nighttime": 6}
"""Valid hours that make a window valid."""


def measure(days: int = 182) -> Iterator[Row]:
    """The rows of this subject: every figure of a half year."""
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        case = Case(Path(name), days, seed=1)
        figures = 0
        wrong = []
        for count, what in case.compare():
            figures += count
            wrong += what
    yield Row(
        "truth", f"figures of {days} days unlike the truth, of {figures} compared", f"{len(wrong)}", "0",
        float(len(wrong)), "<=", 0.0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Episode:
    start: int
    end: int | None
    minutes: int


class Case:
    """An installation in which a mine was recorded with gaps, late data and a calibration, and a bundle of it.

    Parameters
    ----------
    folder : Path
        Where all of it goes.
    days : int
        Length of the period.
    seed : int
        Of the simulation.
    """

    def __init__(self, folder: Path, days: int, seed: int) -> None:
        self.days, self.seed = days, seed
        self.registry = _registry(folder / "registry", days)
        self.start, self.end = _START, _START + days * _DAY
        engine = open_engine(folder / "record.sqlite")
        migrate(engine)
        self.missing: dict[str, int] = defaultdict(int)
        """Readings of each channel within the period that never counted: lost, or too late."""
        self._feed(Pipeline(self.registry, Record(engine, self.registry)))
        key = SigningKey(folder / "keys")
        here = Installation(engine, self.registry, folder / "registry", Archive(folder / "archive"), key, _DAY)
        period = Period("truth", FIRST, FIRST + timedelta(days=days - 1))
        bundle = folder / "bundle.zip"
        build(here, SITE, period, bundle, self.end + 4 * _DAY)
        self.findings = verify(bundle, [key.public.fingerprint]).findings
        engine.dispose()
        with zipfile.ZipFile(bundle) as archive:
            self.figures: dict[str, Any] = json.loads(archive.read("figures.json"))
            self.hours = pl.read_parquet(io.BytesIO(archive.read("hours.parquet")))

    def _feed(self, pipeline: Pipeline) -> None:
        """Commit what the instruments show, a quarter of a day at a time, disturbed; and keep what is to count."""
        mine = Mine(self.registry, SITE, self.seed)
        keys = np.array([channel.key for channel in self.registry.channels])
        devices = np.array([channel.device for channel in self.registry.channels])
        waiting: dict[int, list[Readings]] = defaultdict(list)
        kept: list[Readings] = []
        first = _START // _DAY - 1
        for quarter in range(4 * (self.days + 3)):
            begin = first * _DAY + quarter * 6 * _HOUR
            if quarter % 4 == 0:
                whole = mine.readings(begin // _DAY)
            now = whole.take((whole.time >= begin) & (whole.time < begin + 6 * _HOUR))
            device = devices[now.channel]
            weekday, second = (begin // _DAY - first) % _WEEK, quarter % 4 == 1
            lost = (device == "boundary-dust") & (weekday == 3) & second
            late = (device == "boundary-noise") & (weekday == 2) & second
            too_late = (device == "receptor-air-noise") & (weekday == 4) & second
            for channel in now.channel[(lost | too_late) & (now.time >= self.start) & (now.time < self.end)].tolist():
                self.missing[keys[channel]] += 1
            waiting[quarter + 2].append(now.take(late))
            waiting[quarter + 12].append(now.take(too_late))
            kept.append(now.take(~lost & ~too_late))
            batch = Readings.concat([now.take(~lost & ~late & ~too_late), *waiting.pop(quarter, [])])
            pipeline.commit(batch_of(self.registry, batch), begin + 6 * _HOUR)
        counted = Readings.concat(kept)
        low = np.array([channel.parameter.low for channel in self.registry.channels])
        high = np.array([channel.parameter.high for channel in self.registry.channels])
        value = counted.value.copy()
        calibrated = (keys[counted.channel] == _CALIBRATED) & (counted.time >= _calibration(self.days))
        inside = (counted.value >= low[counted.channel]) & (counted.value <= high[counted.channel])
        value[calibrated] = value[calibrated] * _SLOPE + _OFFSET
        self.readings = pl.DataFrame(
            {
                "channel": keys[counted.channel],
                "time": counted.time,
                "value": value,
                "valid": (counted.flag == NORMAL) & inside,
            }
        ).filter(pl.col("valid"))

    def compare(self) -> Iterator[tuple[int, list[str]]]:
        """How many figures were compared, and which are not what they had to be; subject by subject."""
        yield 1, [str(finding) for finding in self.findings]
        counted = self._counted()
        hours = self._hourly(counted)
        yield self._hours_agree(hours)
        yield self._windows_agree(hours)
        yield self._capture_agrees(counted)
        yield self._limits_agree(counted, hours)
        yield self._responses_agree()
        yield self._effect_holds()

    def _counted(self) -> pl.DataFrame:
        """Readings that enter figures: noise minutes with rain or wind are out."""
        minute = pl.col("time") // _MINUTE
        weather = self.readings.filter(pl.col("channel").str.starts_with(f"{SITE}/weather/"))
        wind = weather.filter(pl.col("channel").str.ends_with("wind-speed") & (pl.col("value") >= 5))
        rain = weather.filter(pl.col("channel").str.ends_with("rain") & (pl.col("value") > 0))
        bad = pl.concat([wind, rain]).select(minute.alias("minute")).unique()
        sound = pl.col("channel").str.contains("/(laeq|lafmax)$")
        marked = self.readings.with_columns(minute.alias("minute"))
        quiet = marked.filter(sound).join(bad, on="minute", how="anti")
        return pl.concat([marked.filter(~sound), quiet])

    def _hourly(self, counted: pl.DataFrame) -> pl.DataFrame:
        """Hours of the period, and of the night in which it ends."""
        due = pl.DataFrame(
            {
                "channel": [channel.key for channel in self.registry.channels],
                "averaging": [channel.parameter.averaging for channel in self.registry.channels],
                "due": [_HOUR / channel.interval for channel in self.registry.channels],
            }
        )
        value, angle = pl.col("value"), pl.col("value").radians()
        return (
            counted.filter((pl.col("time") >= self.start) & (pl.col("time") < self.end + 8 * _HOUR))
            .with_columns((pl.col("time") // _HOUR * _HOUR).alias("start"))
            .group_by("channel", "start")
            .agg(
                value.mean().alias("arithmetic"),
                (10 * (10 ** (value / 10)).mean().log10()).alias("energy"),
                (pl.arctan2(angle.sin().mean(), angle.cos().mean()).degrees() % 360).alias("vector"),
                *(value.quantile(1 - n / 100, "linear").alias(f"l{n}") for n in _LEVELS),
                value.sum().alias("sum"),
                value.min().alias("minimum"),
                value.max().alias("maximum"),
                pl.len().alias("count"),
            )
            .join(due, on="channel")
            .with_columns((pl.col("count") >= 0.75 * pl.col("due")).alias("valid"))
            .with_columns(
                pl.when(pl.col("averaging") == "energy")
                .then("energy")
                .when(pl.col("averaging") == "sum")
                .then("sum")
                .when(pl.col("averaging") == "maximum")
                .then("maximum")
                .when(pl.col("averaging") == "vector")
                .then("vector")
                .otherwise("arithmetic")
                .alias("mean"),
                *(pl.when(pl.col("averaging") == "energy").then(f"l{n}").alias(f"l{n}") for n in _LEVELS),
            )
        )

    def _hours_agree(self, hours: pl.DataFrame) -> tuple[int, list[str]]:
        told = self.hours.filter(pl.col("count") > 0).with_columns(
            pl.col("channel").cast(pl.String), pl.col("start").dt.epoch("ms")
        )
        both = told.join(
            hours.filter(pl.col("start") < self.end), on=("channel", "start"), how="full", suffix="_true", coalesce=True
        )
        turning = pl.col("averaging") == "vector"
        turn = (pl.col("mean") - pl.col("mean_true")).abs()
        leveled = pl.col("averaging") == "energy"
        wrong = both.filter(
            (pl.col("count") != pl.col("count_true"))
            | (pl.col("valid") != pl.col("valid_true"))
            | pl.col("count").is_null()
            | pl.col("count_true").is_null()
            | (~turning & (_apart("mean") > _SAME))
            | (turning & (pl.min_horizontal(turn, 360 - turn).fill_null(360.0) > _TURN))
            | (leveled & pl.any_horizontal(_apart(f"l{n}") > _SAME for n in _LEVELS))
            | (~leveled & pl.any_horizontal(pl.col(f"l{n}").is_not_null() for n in _LEVELS))
            | (_apart("minimum") > _SAME)
            | (_apart("maximum") > _SAME)
        )
        return 8 * len(both), [f"hour {row}" for row in wrong.rows(named=True)]

    def _windows_agree(self, hours: pl.DataFrame) -> tuple[int, list[str]]:
        """Days, day and night periods: means of the valid hours' means."""
        valid: dict[str, dict[int, float]] = defaultdict(dict)
        for row in hours.filter(pl.col("valid")).iter_rows(named=True):
            valid[row["channel"]][row["start"]] = row["mean"]
        kinds = {channel.key: channel.parameter.averaging for channel in self.registry.channels}
        count, wrong = 0, []
        for window in self.figures["windows"]:
            kind = kinds[window["channel"]]
            start, end = (_instant(window[name]) for name in ("start", "end"))
            if kind not in {"arithmetic", "energy"}:
                continue
            means = [valid[window["channel"]][h] for h in range(start, end, _HOUR) if h in valid[window["channel"]]]
            mean = None
            if means:
                mean = _mean(means, kind)
            expected = (mean, len(means), len(means) >= _NEED[window["window"]])
            told = (window["mean"], window["hours"], window["valid"])
            count += 3
            if not _alike(expected[0], told[0]) or expected[1:] != told[1:]:
                wrong.append(f"window {window}: {expected}")
        return count, wrong

    def _capture_agrees(self, counted: pl.DataFrame) -> tuple[int, list[str]]:
        inside = counted.filter((pl.col("time") >= self.start) & (pl.col("time") < self.end))
        valid = dict(inside.group_by("channel").len().iter_rows())
        wrong = []
        for told in self.figures["channels"]:
            channel = next(c for c in self.registry.channels if c.key == told["channel"])
            due = self.days * _DAY / channel.interval
            number = valid.get(channel.key, 0)
            flagged = sum(told["flags"].values())
            sent = due - self.missing[channel.key]
            if told["valid"] != number or told["due"] != due or not _alike(told["capture"], number / due):
                wrong.append(f"capture {told}: {number} of {due}")
            if channel.sends_flags and flagged != sent:
                wrong.append(f"flags {told}: {sent}")
        return 4 * len(self.figures["channels"]), wrong

    def _limits_agree(self, counted: pl.DataFrame, hours: pl.DataFrame) -> tuple[int, list[str]]:
        """Windows by verdict, and what the sliding statistic of hourly dust did minute by minute."""
        count, wrong = 0, []
        for told in self.figures["rules"]:
            verdicts = [v["verdict"] for v in self.figures["verdicts"] if v["rule"] == told["rule"]]
            if (told["meets"], told["exceeds"]) != (verdicts.count("meets"), verdicts.count("exceeds")):
                wrong.append(f"verdicts of {told['rule']}")
            count += 2
            rule = next(r for r in self.registry.rules if r.key == told["rule"])
            if rule.limit.standard == "DB50/418-2016":
                expected, episodes = self._slid(counted, rule.limit.thresholds[-1].high or 0.0)
                mine = [x for x in self.figures["exceedances"] if x["rule"] == rule.key]
                seen = [
                    _Episode(_instant(x["start"]), None if x["end"] is None else _instant(x["end"]), x["minutes"])
                    for x in mine
                ]
                if expected != (told["minutes_above"], told["minutes_assessable"]):
                    wrong.append(f"sliding minutes of {rule.key}: {told}, {expected}")
                if seen != episodes:
                    wrong.append(f"exceedances of {rule.key}: {seen}, {episodes}")
                count += 2 + 3 * len(mine)
            if rule.limit.window in _NEED:
                high = rule.limit.thresholds[0].high
                assert high is not None
                values = self._values(rule, counted, hours)
                if rule.limit.rounding.compare == "rounded":
                    values = [float(np.round(np.round(value, 9))) for value in values]
                exceeds = sum(round(value, 9) > high for value in values)
                if (exceeds, len(values) - exceeds) != (told["exceeds"], told["meets"]):
                    wrong.append(f"windows of {rule.key}: {told}, {exceeds} of {len(values)}")
                count += 2
        return count, wrong

    def _values(self, rule: Rule, counted: pl.DataFrame, hours: pl.DataFrame) -> list[float]:
        """Statistic of each valid window of a limit that begins in the period."""
        key = self.registry.channels[rule.channel].key
        mine = hours.filter((pl.col("channel") == key) & pl.col("valid"))
        means = dict(mine.select("start", "mean").iter_rows())
        readings = counted.filter(pl.col("channel") == key).select("time", "value").sort("time").to_numpy()
        first, length = {"day": (0, 24), "daytime": (6, 16), "nighttime": (22, 8)}[rule.limit.window]
        values = []
        for start in range(self.start + first * _HOUR, self.end, _DAY):
            inside = [means[h] for h in range(start, start + length * _HOUR, _HOUR) if h in means]
            if len(inside) < _NEED[rule.limit.window]:
                continue
            if rule.limit.statistic == "maximum":
                low, high = np.searchsorted(readings[:, 0], (start, start + length * _HOUR))
                values.append(float(readings[low:high, 1].max()))
            else:
                values.append(_mean(inside, self.registry.channels[rule.channel].parameter.averaging))
        return values

    def _slid(self, counted: pl.DataFrame, high: float) -> tuple[tuple[int, int], list[_Episode]]:
        """Sliding hours above ``high``: minutes above and assessable, and episodes by the alarm ``dust-hour``."""
        boundary = counted.filter(pl.col("channel") == f"{SITE}/boundary/tsp")
        first = _START - _DAY
        total, number = (np.zeros((self.end + 2 * _DAY - first) // _MINUTE) for _ in range(2))
        place = (boundary["time"].to_numpy() - first) // _MINUTE
        np.add.at(total, place, boundary["value"].to_numpy())
        np.add.at(number, place, 1)
        sums, numbers = (np.convolve(x, np.ones(60))[: len(x)] for x in (total, number))
        assessable = np.round(numbers) >= 45
        mean = np.divide(sums, numbers, out=np.zeros_like(sums), where=numbers > 0)
        above = assessable & (np.round(mean, 9) > high)
        cleared = assessable & (np.round(mean, 9) <= high - 50)
        inside = slice((self.start - first) // _MINUTE, (self.end - first) // _MINUTE)
        episodes: list[_Episode] = []
        begun: int | None = None
        up = down = lost = 0
        for minute in range(len(mean)):
            up = up + 1 if above[minute] else 0
            down = down + 1 if cleared[minute] else 0
            lost = 0 if assessable[minute] else lost + 1
            if begun is None and up >= 5:
                begun = minute - up + 1
            elif begun is not None and (down >= 15 or lost >= 60):
                ended = minute - max(down if down >= 15 else 0, lost if lost >= 60 else 0) + 1
                start, end = (first + (m + 1) * _MINUTE for m in (begun, ended))
                if start < self.end and end > self.start:
                    episodes.append(_Episode(start, end, int(above[begun:ended].sum())))
                begun = None
        return (int(above[inside].sum()), int(assessable[inside].sum())), episodes

    def _responses_agree(self) -> tuple[int, list[str]]:
        """Sprayers answer when the simulation says that they ran."""
        events = truth(self.registry, [SITE], self.seed, self.start, self.end + _DAY, ()).events
        running = [(e.start, e.end) for e in events if e.kind == "sprayers"]
        wrong = []
        for told in self.figures["responses"]:
            start = _instant(told["start"])
            end = self.end if told["return_minutes"] is None else start + told["return_minutes"] * _MINUTE
            began = [max(a, start) for a, b in running if b > start and a < min(end, self.end)]
            expected = (min(began) - start) // _MINUTE if began else None
            if told["response_minutes"] != expected:
                wrong.append(f"response {told}: {expected}")
        return len(self.figures["responses"]), wrong

    def _effect_holds(self) -> tuple[int, list[str]]:
        effect = self.figures["effects"][0]
        low, high = effect["low"], effect["high"]
        if effect["days"] < 10 and effect["reason"] == "too-few-days":
            return 1, []
        if low is None or not low <= SPRAYER_FACTOR <= high:
            return 1, [f"effect {effect}"]
        return 1, []


def _registry(folder: Path, days: int) -> Registry:
    """The mine by itself, with a calibration in the middle of the period."""
    (folder / "sites").mkdir(parents=True)
    for name in ("enterprises.toml", "profiles.toml"):
        shutil.copyfile(DEFAULT / name, folder / name)
    text = (DEFAULT / "sites" / f"{SITE}.toml").read_text(encoding="utf-8")
    when = datetime.fromtimestamp(_calibration(days) / 1000, UTC).isoformat()
    text += (
        f'\n[[calibrations]]\nstation = "receptor"\nparameter = "pm10"\nvalid_from = {when}\n'
        f'slope = {_SLOPE}\noffset = {_OFFSET}\ncertificate = "made for comparing"\n'
    )
    (folder / "sites" / f"{SITE}.toml").write_text(text, encoding="utf-8")
    return load_registry(folder)


def _calibration(days: int) -> int:
    """When the calibration begins: within an hour, so that it parts one."""
    return _START + days // 2 * _DAY + 10 * _HOUR + 30 * _MINUTE


def _mean(means: Sequence[float], averaging: str) -> float:
    """Of hourly means; of the energies of levels."""
    values = np.array(means)
    return float(10 * np.log10(np.mean(10 ** (values / 10))) if averaging == "energy" else np.mean(values))


def _instant(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _apart(name: str) -> pl.Expr:
    """Relative difference of a column and its true values; 1 where one of them is missing."""
    told, true = pl.col(name), pl.col(f"{name}_true")
    return ((told - true).abs() / pl.max_horizontal(told.abs(), true.abs(), 1e-3)).fill_null(1.0)


def _alike(left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return left is right
    return abs(left - right) <= _SAME * max(abs(left), abs(right), 1e-3)
