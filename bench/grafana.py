"""Dashboards over a year, and over a thousand mines, on a real Grafana with a real InfluxDB 2."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import urllib3

from bench.table import Row
from greenmine.grafana.dashboards import dashboards
from greenmine.grafana.edition import Edition
from greenmine.grafana.influx.feed import rule_tags
from greenmine.grafana.influx.influx_schema import BY_NAME
from greenmine.grafana.influx.lines import Encoder
from greenmine.limits import threshold_on
from greenmine.loading import load_registry
from greenmine.registry import DEFAULT, Registry
from tests.grafana.interpolating import View, everything
from tests.real.servers import ORG, StartedGrafana, StartedInfluxDB, shipped

POINTS: Final = 50_000_000
"""Of a year of five mines."""
_MINES: Final = 1_000
_RUNS: Final = 3
_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_YEAR: Final = 52 * 7 * _DAY
_BATCH: Final = 20_000
_ONE, _FIVE, _OVERVIEW = 1.0, 1.5, 2.0
"""Longest time for the 95th percentile [s]."""
_THEMES: Final = ("dust", "noise", "water")


def measure(points: int) -> Iterator[Row]:
    """The rows of this subject.

    Parameters
    ----------
    points : int
        Of the year of five mines.
    """
    if not {"INFLUXD_BIN", "GRAFANA_BIN", "GRAFANA_HOME"} <= os.environ.keys():
        yield Row("grafana", "dashboards over a year", "skipped: no INFLUXD_BIN, GRAFANA_BIN, GRAFANA_HOME", "", None)
        return
    end = time.time_ns() // 1_000_000 // _HOUR * _HOUR
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        folder = Path(name)
        with (
            StartedInfluxDB(folder / "influx", shipped("influxdb")) as influx,
            StartedGrafana(folder / "grafana", shipped("grafana")) as grafana,
        ):
            registry = load_registry()
            begun = time.perf_counter()
            written = _fill(influx, "year", _year(registry, end, points))
            took = time.perf_counter() - begun
            yield Row("grafana", f"fill 52 weeks of five mines, {written:,} points", f"{took:,.0f} s", "", None)
            source = _source(grafana, influx, "year")
            boards = dashboards(Edition("zh", registry, datetime.fromtimestamp(end / 1000, UTC).date()))
            for chosen, what, bound in ((["kunyin"], "one mine", _ONE), ([], "five mines", _FIVE)):
                names = ("mine", *_THEMES) if chosen else (*_THEMES, "exceedances")
                yield _row(
                    f"{what} over a year", _times(grafana, source, boards, names, (end - _YEAR, end), chosen), bound
                )
            province = _province(folder / "registry")
            written = _fill(influx, "province", _state(province, end))
            source = _source(grafana, influx, "province")
            boards = dashboards(Edition("zh", province, datetime.fromtimestamp(end / 1000, UTC).date()))
            seconds = _times(grafana, source, boards, ("overview", "wall"), (end - 30 * _DAY, end), [])
            yield _row(f"overview of {_MINES:,} mines, {written:,} points", seconds, _OVERVIEW)


def _row(what: str, seconds: list[tuple[float, str]], bound: float) -> Row:
    found = float(np.quantile([s for s, _ in seconds], 0.95, method="higher"))
    slowest, title = max(seconds)
    measured = f"p95 {found:.2f} s of {len(seconds)} panels; slowest {slowest:.2f} s: {title}"
    return Row("grafana", what, measured, f"{bound:g} s", found / bound, "<=", 1.0)


def _times(
    grafana: StartedGrafana,
    source: str,
    boards: Mapping[str, Mapping[str, Any]],
    names: Iterable[str],
    span: tuple[int, int],
    chosen: list[str],
) -> list[tuple[float, str]]:
    """Seconds of every panel of some dashboards, in some runs, with their names."""
    found = []
    for _ in range(_RUNS):
        for name in names:
            board = boards[name]
            given: dict[str, Any] = {"site": chosen[0] if name == "mine" else chosen} if chosen else {}
            view = everything(board, *span, **given)
            for panel in board["panels"]:
                if panel["type"] != "row":
                    body = _asked(panel, view, source)
                    begun = time.perf_counter()
                    answer = grafana.call("POST", "/api/ds/query", body, timeout=120)
                    found.append((time.perf_counter() - begun, f"{name}, {panel['title']}"))
                    faults = [
                        r["error"]
                        for r in answer.json().get("results", {"": {"error": answer}}).values()
                        if "error" in r
                    ]
                    assert not faults, (name, panel["title"], faults)
    return found


def _asked(panel: Mapping[str, Any], view: View, source: str) -> dict[str, Any]:
    queries = [
        {
            **target,
            "query": view.chosen_in(target["query"]),
            "datasource": {"type": "influxdb", "uid": source},
            "intervalMs": view.interval(panel) * 1000,
            "maxDataPoints": 1000,
        }
        for target in panel["targets"]
    ]
    return {"queries": queries, "from": str(view.start), "to": str(view.end)}


def _source(grafana: StartedGrafana, influx: StartedInfluxDB, bucket: str) -> str:
    """Make a data source for a bucket; its uid."""
    body = {
        "uid": bucket, "name": bucket, "type": "influxdb", "access": "proxy", "url": influx.url,
        "jsonData": {"dbName": bucket, "httpMode": "POST", "httpHeaderName1": "Authorization"},
        "secureJsonData": {"httpHeaderValue1": f"Token {influx.token}"},
    }  # fmt: skip
    assert grafana.call("POST", "/api/datasources", body).status == 200
    return bucket


def _fill(influx: StartedInfluxDB, bucket: str, lines: Iterable[str]) -> int:
    """Make a bucket and write lines into it; how many."""
    org = influx.call("GET", f"/api/v2/orgs?org={ORG}").json()["orgs"][0]["id"]
    made = influx.call("POST", "/api/v2/buckets", {"orgID": org, "name": bucket, "retentionRules": []}).json()
    mapping = {"orgID": org, "bucketID": made["id"], "database": bucket, "retention_policy": "autogen", "default": True}
    influx.call("POST", "/api/v2/dbrps", mapping)
    # InfluxDB answers 500 where writes wait too long for each other.
    patient = urllib3.Retry(5, backoff_factor=2, status_forcelist=[500, 503], allowed_methods=None)
    http = urllib3.PoolManager(maxsize=2, retries=patient)
    address = f"{influx.url}/api/v2/write?org={ORG}&bucket={bucket}&precision=ms"

    def post(some: list[str]) -> int:
        answer = http.request(
            "POST", address, body="\n".join(some).encode(), headers={"Authorization": f"Token {influx.token}"}
        )
        assert answer.status == 204, answer.data
        return len(some)

    count = 0
    with ThreadPoolExecutor(2) as pool:
        coming = iter(lines)
        while group := [some for _ in range(4) if (some := list(islice(coming, _BATCH)))]:
            count += sum(pool.map(post, group))
    return count


def _year(registry: Registry, end: int, points: int) -> Iterator[str]:
    """Lines of a year: what follows from the readings as often as in service, readings as far apart as the number allows."""
    random = np.random.default_rng(3)
    start = end - _YEAR
    hours = np.arange(start, end, _HOUR)
    enterprises = {site.id: site.enterprise for site in registry.sites}
    yield from _state(registry, end)
    count = 0
    for rule in registry.rules:
        for line in _followed(registry, rule, hours, random):
            count += 1
            yield line
    for site in registry.sites:
        for line in _together(site.enterprise, site.id, hours, random):
            count += 1
            yield line
    for channel in registry.channels:
        tags = (enterprises[channel.site], channel.site, channel.station, channel.parameter.id)
        encoder = Encoder(BY_NAME["statistic"])
        for window, instants in (
            ("hour", hours),
            ("day", hours[::24]),
            ("daytime", hours[::24]),
            ("nighttime", hours[::24]),
        ):
            beginning = encoder.series(*tags, window)
            for value, instant in zip(
                random.normal(60, 8, len(instants)).round(1).tolist(), instants.tolist(), strict=True
            ):
                count += 1
                yield (
                    f"{beginning}mean={value},minimum={value},maximum={value},l10={value},l50={value},l90={value},count=60i,"
                    f"expected=60,capture=1,valid=1i,excluded=0i,suspect=0i,end={instant + _HOUR}i,revision=0i {instant}"
                )
    step = max(1000, _YEAR * len(registry.channels) // max(1, points - count))
    encoder = Encoder(BY_NAME["reading"])
    for channel in registry.channels:
        beginning = encoder.series(enterprises[channel.site], channel.site, channel.station, channel.parameter.id)
        instants = np.arange(start, end, step)
        values = random.normal(60, 8, len(instants)).round(1).tolist()
        for value, instant in zip(values, instants.tolist(), strict=True):
            yield f"{beginning}value={value} {instant}"


def _followed(registry: Registry, rule: Any, hours: np.ndarray[Any, Any], random: np.random.Generator) -> Iterator[str]:
    """Lines of a limit over the hours: verdicts, the limit itself, minutes above, and what rolls over them."""
    tags = rule_tags(registry, rule)
    threshold = threshold_on(rule.limit, datetime.fromtimestamp(hours[-1] / 1000, UTC).date())
    high = 100.0 if threshold is None or threshold.high is None else float(threshold.high)
    series = {name: Encoder(BY_NAME[name]).series(*tags) for name in ("verdict", "limit", "sliding")}
    rolled = {span: Encoder(BY_NAME["rolling"]).series(*tags, span) for span in ("24h", "7d", "30d")}
    findings = random.choice([0, 0, 0, 1, 2, 3, 4], len(hours)).tolist()
    each = 1 if rule.limit.window == "hour" else 24
    for number, (instant, finding) in enumerate(zip(hours.tolist(), findings, strict=True)):
        if number % each == 0:
            yield (
                f'{series["verdict"]}verdict="meets",finding={finding}i,value=50.0,judged="50",high={high},capture=1,'
                f'reason="within-limit",standing="statutory",clause="GB",end={instant + _HOUR}i,revision=0i {instant}'
            )
        yield f'{series["limit"]}high={high},clause="GB" {instant}'
        yield f"{series['sliding']}assessable=60i,above={finding}i,worst=50.0 {instant}"
        for beginning in rolled.values():
            yield f"{beginning}episodes=1i,above={finding}i,longest=1i,share=0.01,capture=1,worst=50.0 {instant}"
    episode = Encoder(BY_NAME["exceedance"])
    for number, instant in enumerate(hours[::200].tolist()):
        yield (
            f'{episode.series(*tags, f"{rule.index}{number}")}state="closed",open=0i,finding=3i,start={instant}i,'
            f'end={instant + _HOUR}i,peak=120.0,threshold={high},minutes=60i,duration=60i,revision=0i,clause="GB" {instant}'
        )


def _together(enterprise: str, site: str, hours: np.ndarray[Any, Any], random: np.random.Generator) -> Iterator[str]:
    """Lines of a mine over the hours: dust and wind for roses, and what rolls over all of its limits."""
    rolled = [Encoder(BY_NAME["rolling_site"]).series(enterprise, site, span) for span in ("24h", "7d", "30d")]
    windy = [Encoder(BY_NAME["wind_dust"]).series(enterprise, site, str(sector)) for sector in range(8)]
    sectors = random.integers(0, 8, len(hours)).tolist()
    for instant, sector in zip(hours.tolist(), sectors, strict=True):
        for beginning in rolled:
            yield f"{beginning}episodes=1i,above=3i,share=0.01 {instant}"
        yield f"{windy[sector]}hours=1i,dust={40 + sector}.5,speed=2.5,north=1.5,east=2.0 {instant}"


def _state(registry: Registry, end: int) -> Iterator[str]:
    """Lines of what the overview shows, at every mine: conclusions, days of a month, captures, health, rolling statistics."""
    encoders = {name: Encoder(measurement) for name, measurement in BY_NAME.items()}
    for site in registry.sites:
        for theme in _THEMES:
            for addressee in ("emission", "quality"):
                beginning = encoders["conclusion"].series(site.enterprise, site.id, theme, addressee)
                for hour in range(72):
                    yield f'{beginning}finding={hour % 5}i,reason="",limits=3i,running=0i {end - hour * _HOUR}'
            beginning = encoders["day"].series(site.enterprise, site.id, theme)
            for day in range(30):
                yield f"{beginning}finding={day % 5}i,verdicts=24i {end - day * _DAY}"
        beginning = encoders["rolling_site"].series(site.enterprise, site.id, "30d")
        for hour in range(48):
            yield f"{beginning}episodes=30i,above=90i,share=0.01 {end - hour * _HOUR}"
        for station in site.stations:
            yield f"{encoders['place'].series(site.enterprise, site.id, station.id)}latitude=30.8,longitude=108.4 {end - _DAY}"
    for channel in registry.channels:
        tags: tuple[str, ...] = (
            registry.site(channel.site).enterprise,
            channel.site,
            channel.station,
            channel.parameter.id,
        )
        yield f'{encoders["health"].series(*tags)}state="good",code=0i,detail="" {end - _DAY}'
        for day in range(4):
            yield f"{encoders['statistic'].series(*tags, 'day')}mean=50.0,capture=1,count=1440i,valid=1i {end - day * _DAY}"
    for rule in registry.rules:
        tags = rule_tags(registry, rule)
        beginning = encoders["headroom"].series(*tags)
        yield f"{beginning}state=0i,most=80.0,hours=5i,missing=0i,end={end + _HOUR}i {end}"
        for hour in range(48):
            yield f"{encoders['rolling'].series(*tags, '30d')}episodes=1i,above=3i,share=0.01,worst=50.0 {end - hour * _HOUR}"
        if rule.index % 20 == 0:
            finding = 3 + rule.index // 20 % 3
            fields = (
                f"open=1i,finding={finding}i,start={end - _HOUR}i,peak=120.0,threshold=100.0,minutes=60i,revision=0i"
            )
            yield f'{encoders["exceedance"].series(*tags, str(rule.index))}state="open",{fields} {end - _HOUR}'


def _province(folder: Path) -> Registry:
    """Mines like one that ships, each of an enterprise of its own."""
    shutil.copytree(DEFAULT, folder)
    text = (folder / "sites" / "jiuchi.toml").read_text("utf-8")
    for path in (folder / "sites").glob("*.toml"):
        path.unlink()
    (folder / "enterprises.toml").write_text(
        "".join(f'[[enterprises]]\nid = "e{n}"\nname_zh = "企业{n}"\nname_en = "E{n}"\n' for n in range(_MINES)),
        "utf-8",
    )
    for n in range(_MINES):
        own = text.replace('id = "jiuchi"', f'id = "m{n}"', 1).replace('enterprise = "jiuchi"', f'enterprise = "e{n}"')
        (folder / "sites" / f"m{n}.toml").write_text(own, "utf-8")
    return load_registry(folder)
