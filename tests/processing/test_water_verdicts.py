"""Verdicts on waste water by GB 8978-1996: hours of discharge, means weighted by flow, pH as a range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from greenmine.loading import load_registry
from greenmine.processing.engine import Engine, Judged, Outcome
from greenmine.processing.identity import unknown
from greenmine.readings import Readings
from greenmine.registry import Registry, RegistryError
from tests.processing.mine import DAY, HOUR, MINUTE, Station, at, channel, every, readings, registry_of, rule

PH = Station("outfall", ("ph", "flow"), "900s", ("gb8978-ph",))
START = at("2026-06-01T00:00:00")
STEP = 15 * MINUTE
Piece = tuple[int, int, float]
"""Local hours from and to, and the value."""


@pytest.fixture(scope="module")
def outfall(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return registry_of(tmp_path_factory.mktemp("outfall"), {"mine": ("Asia/Shanghai", [PH])})


def series(registry: Registry, parameter: str, *pieces: Piece, station: str = "outfall") -> Readings:
    index = channel(registry, f"mine/{station}/{parameter}")
    return Readings.concat(
        [readings(index, every(START + a * HOUR, START + b * HOUR, STEP), value) for a, b, value in pieces]
    )


def both(*parts: Readings) -> Readings:
    some = Readings.concat(parts)
    return some.take(np.argsort(some.time, kind="stable"))


def outcomes(registry: Registry, *parts: Readings) -> list[Outcome]:
    """What batches lead to; in the end time goes on past the day."""
    engine = Engine(registry, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))
    found = [engine.ingest(part) for part in parts]
    return [*found, engine.wait(START + DAY + 3 * HOUR, np.ones(len(registry.channels), np.bool_))]


def judged(registry: Registry, *parts: Readings, limit: str = "gb8978-ph") -> Judged:
    index = rule(registry, f"mine/outfall/{limit}")
    found = [v for o in outcomes(registry, *parts) for v in o.verdicts]
    return next(v for v in reversed(found) if v.rule == index and v.start * MINUTE == START)


def test_five_hours_of_discharge_are_five_hours_due(outfall: Registry) -> None:
    flow = series(outfall, "flow", (0, 8, 0.0), (8, 13, 5.0), (13, 25, 0.0))
    found = judged(outfall, both(flow, series(outfall, "ph", (8, 13, 7.5)))).verdict
    assert (found.judgement, found.have) == ("meets", 7.5)


def test_a_due_hour_that_is_missing_is_counted(outfall: Registry) -> None:
    flow = series(outfall, "flow", (0, 8, 0.0), (8, 13, 5.0), (13, 25, 0.0))
    found = judged(outfall, both(flow, series(outfall, "ph", (8, 12, 7.5)))).verdict
    assert (found.judgement, found.reason, found.have, found.need) == ("not assessable", "too-few-hours", 4, 5)


def test_an_hour_in_which_the_flow_is_not_known_is_due(outfall: Registry) -> None:
    flow = series(outfall, "flow", (0, 6, 0.0), (8, 13, 5.0), (13, 25, 0.0))
    found = judged(outfall, both(flow, series(outfall, "ph", (8, 13, 7.5)))).verdict
    assert (found.reason, found.have, found.need) == ("too-few-hours", 5, 7)


def test_no_hour_of_discharge_is_made_up_for(outfall: Registry) -> None:
    flow = series(outfall, "flow", (0, 25, 5.0))
    found = [judged(outfall, both(flow, series(outfall, "ph", (0, hours, 7.5)))).verdict for hours in (23, 24)]
    assert [(v.judgement, v.have, v.need) for v in found] == [("not assessable", 23, 24), ("meets", 7.5, 9.0)]


def test_a_meter_that_is_silent_takes_no_dirty_hour_out_of_the_mean(tmp_path: Path) -> None:
    registry = cod(tmp_path, meter='flow = "weir"\n')
    flow = series(registry, "flow", (0, 3, 2.0), (4, 25, 2.0), station="weir")
    dirty = series(registry, "cod", (0, 3, 50.0), (3, 4, 900.0), (4, 25, 50.0))
    found = judged(registry, both(flow, dirty), limit="gb8978-cod-level1").verdict
    assert (found.judgement, found.have, found.need) == ("not assessable", 23, 24)


def test_a_day_without_discharge_has_nothing_to_judge(outfall: Registry) -> None:
    flow = series(outfall, "flow", (0, 25, 0.0))
    found = judged(outfall, both(flow, series(outfall, "ph", (0, 25, 4.0)))).verdict
    assert (found.judgement, found.reason) == ("not assessable", "no-discharge")


def test_what_stands_in_the_basin_between_discharges_is_not_judged(outfall: Registry) -> None:
    flow = series(outfall, "flow", (0, 8, 0.0), (8, 13, 5.0), (13, 25, 0.0))
    found = judged(outfall, both(flow, series(outfall, "ph", (0, 8, 4.0), (8, 13, 7.5), (13, 25, 4.0)))).verdict
    assert found.judgement == "meets"


def test_ph_exceeds_by_its_worst_hour_and_each_run_of_hours_is_an_exceedance(outfall: Registry) -> None:
    flow = series(outfall, "flow", (0, 25, 5.0))
    some = both(
        flow,
        series(outfall, "ph", (0, 10, 7.5), (10, 11, 5.8), (11, 12, 5.5), (12, 20, 7.5), (20, 21, 9.4), (21, 25, 7.5)),
    )
    found = judged(outfall, some)
    assert (found.verdict.judgement, found.verdict.reason, found.value) == ("exceeds", "under-limit", 5.5)
    episodes = [e for o in outcomes(outfall, some) for e in o.exceedances]
    told = [((e.start + 1) * MINUTE, ((e.end or 0) + 1) * MINUTE, e.peak, e.threshold) for e in episodes]
    assert told == [
        (START + 10 * HOUR, START + 12 * HOUR, 5.5, 6),
        (START + 20 * HOUR, START + 21 * HOUR, 9.4, 9),
    ]


def test_one_hour_outside_the_range_stands_however_few_others_there_are(outfall: Registry) -> None:
    some = both(series(outfall, "flow", (0, 25, 5.0)), series(outfall, "ph", (0, 2, 7.5), (2, 3, 5.0)))
    assert judged(outfall, some).verdict.judgement == "exceeds"


@pytest.mark.parametrize(("value", "judgement"), [(9.0, "meets"), (9.01, "exceeds"), (6.0, "meets"), (5.99, "exceeds")])
def test_the_ends_of_the_range_meet(outfall: Registry, value: float, judgement: str) -> None:
    some = both(series(outfall, "flow", (0, 25, 5.0)), series(outfall, "ph", (0, 25, value)))
    assert judged(outfall, some).verdict.judgement == judgement


def test_without_a_flow_meter_all_hours_are_due(tmp_path: Path) -> None:
    registry = registry_of(tmp_path, {"mine": ("Asia/Shanghai", [Station("outfall", ("ph",), "900s", ("gb8978-ph",))])})
    found = judged(registry, series(registry, "ph", (8, 13, 7.5))).verdict
    assert (found.reason, found.have, found.need) == ("too-few-hours", 5, 18)


def test_flow_that_comes_late_judges_the_day_again(outfall: Registry) -> None:
    flow = series(outfall, "flow", (0, 8, 0.0), (8, 13, 5.0), (13, 25, 0.0))
    ph = series(outfall, "ph", (8, 13, 7.5), (25, 26, 7.5))
    found = judged(outfall, ph, flow)
    assert (found.verdict.judgement, found.restated) == ("meets", True)


def cod(folder: Path, *, meter: str) -> Registry:
    """A mine that measures COD at the outfall and the flow at another station."""
    path = folder / "profiles.toml"
    stations = [Station("outfall", ("cod",), "900s", ("gb8978-cod-level1",)), Station("weir", ("flow",), "900s")]
    site = folder / "sites" / "mine.toml"
    (folder / "sites").mkdir()
    registry_of(folder, {"mine": ("Asia/Shanghai", [Station("weir", ("flow",), "900s")])})
    path.write_text(path.read_text("utf-8").replace('ph = "1"', 'ph = "1"\ncod = "mg/L"'), "utf-8")
    text = site.read_text("utf-8").split("[[stations]]")[0] + "".join(s.text() for s in stations)
    site.write_text(text.replace('id = "outfall"\nname_zh', f'id = "outfall"\n{meter}name_zh', 1), "utf-8")
    return load_registry(folder)


def test_the_meter_of_another_station_weighs_the_mean(tmp_path: Path) -> None:
    registry = cod(tmp_path, meter='flow = "weir"\n')
    flow = series(registry, "flow", (0, 6, 1.0), (6, 12, 10.0), (12, 25, 1.0), station="weir")
    some = both(flow, series(registry, "cod", (0, 6, 60.0), (6, 12, 150.0), (12, 25, 60.0)))
    found = judged(registry, some, limit="gb8978-cod-level1")
    assert (found.value, found.verdict.judgement) == (pytest.approx((150 * 60 + 60 * 18) / 78), "exceeds")


def test_without_a_meter_the_mean_is_plain(tmp_path: Path) -> None:
    registry = cod(tmp_path, meter="")
    some = series(registry, "cod", (0, 6, 60.0), (6, 12, 150.0), (12, 25, 60.0))
    assert judged(registry, some, limit="gb8978-cod-level1").value == pytest.approx(82.5)


def test_a_station_without_a_meter_cannot_be_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="flow: there is no station with flow 'outfall'"):
        cod(tmp_path, meter='flow = "outfall"\n')


@pytest.mark.parametrize("seed", range(3))
def test_the_early_warning_of_a_day_of_discharge_is_the_figure_of_its_verdict(tmp_path: Path, seed: int) -> None:
    registry = cod(tmp_path, meter='flow = "weir"\n')
    rng = np.random.default_rng(seed)
    flow = series(
        registry, "flow", *((h, h + 1, float(rng.choice([0.0, 1.0, 7.5]))) for h in range(25)), station="weir"
    )
    some = both(flow, series(registry, "cod", *((h, h + 1, float(rng.uniform(50, 150))) for h in range(25))))
    engine = Engine(registry, unknown, lambda *_: (np.empty(0, np.int64), np.empty(0)))
    index = rule(registry, "mine/outfall/gb8978-cod-level1")
    (verdict,) = [v for v in engine.ingest(some).verdicts if v.rule == index and v.start * MINUTE == START]
    last = verdict.end - 1
    assert engine.alarms.slider.slide(np.array([index]), last, last).value[0, 0] == pytest.approx(verdict.value)
