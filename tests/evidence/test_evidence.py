"""Evidence bundles: figures that follow from raw data, and tampering that is found."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from pyarrow import parquet as pq

from greenmine.evidence.bundle import Installation, build
from greenmine.record import schema
from greenmine.record.archive.archive import Archive
from greenmine.record.archive.signing import SigningKey
from greenmine.record.writer import Pipeline
from greenmine.reporting import Period, load_reporting, parse_period
from tests.evidence.bundles import FIRST, NOW, PERIOD, Made, contents, edited, packed, page_text, verify, whole_text
from tests.processing import light
from tests.processing.mine import DAY, HOUR, MINE, MINUTE, at, batch_of, channel, readings, record_at, registry_of
from tests.records import record_in


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-H1", "2025-12-06", "2026-06-20"),
        ("2026-H2", "2026-06-21", "2026-12-05"),
        ("2028-02", "2028-02-01", "2028-02-29"),
        ("2026-01-05..2026-01-05", "2026-01-05", "2026-01-05"),
        ("2026-01-01..2026-12-31", "2026-01-01", "2026-12-31"),
        ("2026-01-01/2026-01-31", "2026-01-01", "2026-01-31"),
        ("2024-02-29", "2024-02-29", "2024-02-29"),
        ("2026-Q3", "2026-07-01", "2026-09-30"),
        ("2024", "2024-01-01", "2024-12-31"),
    ],
)
def test_a_period_is_named_by_reporting_date_day_month_quarter_year_or_days(text: str, first: str, last: str) -> None:
    period = parse_period(text, load_reporting())
    assert (period.first.isoformat(), period.last.isoformat()) == (first, last)
    assert period.days[0] == period.first
    assert period.days[-1] == period.last


@pytest.mark.parametrize(
    "text",
    [
        "26",
        "2026-Q5",
        "2026-02-29",
        "2026-H3",
        "2026-13",
        "2026-02-30..2026-03-01",
        "2026-03-02..2026-03-01",
        "2026-01-01..2027-01-02",
        "",
    ],
)
def test_what_names_no_period_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="period"):
        parse_period(text, load_reporting())


def test_a_bundle_verifies_and_the_same_is_built_again(made: Made, tmp_path: Path) -> None:
    assert verify(made.bundle, made.key.public) == []
    assert verify(made.bundle) == []
    build(made.here, "mine", PERIOD, tmp_path / "again.zip", NOW)
    assert (tmp_path / "again.zip").read_bytes() == made.bundle.read_bytes()


def test_the_figures_are_those_of_the_record(made: Made) -> None:
    files = contents(made.bundle)
    figures = json.loads(files["figures.json"])
    numbers = {int(n): c.key for n, c in zip(made.record.channel_ids, made.registry.channels, strict=True)}
    start, end = FIRST + DAY, FIRST + 4 * DAY
    c, v = schema.statistic.c, schema.verdict.c
    rows = made.record.rows(sa.select(schema.statistic).where(c.latest, c.start >= start, c.start < end))
    hours = {
        (h["channel"], round(h["start"].timestamp() * 1000)): h
        for h in pq.read_table(io.BytesIO(files["hours.parquet"])).to_pylist()
    }
    windows = {(w["channel"], w["window"], at(w["start"][:19])): w for w in figures["windows"]}
    assert len(hours) + len(windows) == len(rows) > 500
    for row in rows:
        key = numbers[row["channel"]]
        mine = hours[key, row["start"]] if row["window"] == "hour" else windows[key, row["window"], row["start"]]
        for name in ("mean", "minimum", "maximum", "count", "capture", "valid", "excluded"):
            assert mine[name] == (None if row[name] is None else pytest.approx(row[name], rel=1e-9)), (key, row, mine)
    verdicts = {(w["rule"], at(w["start"][:19])): w for w in figures["verdicts"]}
    judged = made.record.rows(sa.select(schema.verdict).where(v.latest, v.start >= start, v.start < end))
    assert {(r["rule"], r["start"]): (r["verdict"], r["reason"], r["judged"]) for r in judged} == {
        key: (w["verdict"], w["reason"], w["judged"]) for key, w in verdicts.items()
    }
    x = schema.exceedance.c
    episodes = made.record.rows(
        sa.select(schema.exceedance).where(
            x.state != "withdrawn", x.start < end, sa.or_(x.end.is_(None), x.end > start)
        )
    )
    assert {(e["rule"], e["start"], e["minutes"]) for e in episodes} == {
        (e["rule"], at(e["start"][:19]), e["minutes"]) for e in figures["exceedances"]
    }
    assert episodes


def test_counts_of_a_limit_add_up_to_the_windows_due(made: Made) -> None:
    figures = json.loads(contents(made.bundle)["figures.json"])
    due = {"hour": 72, "day": 3, "daytime": 3, "nighttime": 3}
    for rule in figures["rules"]:
        assert rule["meets"] + rule["exceeds"] + rule["not_assessable"] == rule["periods"] == due[rule["window"]]
        assert sum(rule["reasons"].values()) == rule["periods"]


def test_every_random_tampering_is_found(made: Made, tmp_path: Path) -> None:
    files = contents(made.bundle)
    random = np.random.default_rng(11)
    names = sorted(files)
    for _ in range(40):
        name = names[int(random.integers(len(names)))]
        content = bytearray(files[name])
        content[int(random.integers(len(content)))] ^= int(random.integers(1, 256))
        found = verify(packed(tmp_path / "t.zip", files | {name: bytes(content)}), made.key.public)
        assert any(name in f"{f.place} {f.what}" for f in found), (name, found)
    whole = made.bundle.read_bytes()
    for _ in range(160):
        content = bytearray(whole)
        content[int(random.integers(len(content)))] ^= int(random.integers(1, 256))
        (tmp_path / "t.zip").write_bytes(content)
        assert verify(tmp_path / "t.zip", made.key.public)


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (
            "summary[0].judgement",
            lambda d: d["summary"][0].update(
                judgement="meets" if d["summary"][0]["judgement"] != "meets" else "exceeds"
            ),
        ),
        ("windows[5].mean", lambda d: d["windows"][5].update(mean=1.0)),
        ("verdicts", lambda d: d["verdicts"].pop()),
        ("exceedances", lambda d: d["exceedances"].clear()),
        ("channels[0].capture", lambda d: d["channels"][0].update(capture=1.0, valid=9)),
    ],
)
def test_a_figure_that_its_maker_bent_is_found_with_its_place(
    made: Made,
    tmp_path: Path,
    place: str,
    change: Callable[[dict], None],  # type: ignore[type-arg]
) -> None:
    bent = packed(tmp_path / "t.zip", edited(contents(made.bundle), "figures.json", change), made.key)
    found = verify(bent, made.key.public)
    assert any(f.place.startswith(f"figures.json: {place}") for f in found), found
    assert all(f.place.startswith("figures.json") for f in found), found


def test_raw_data_that_its_maker_bent_are_found(made: Made, tmp_path: Path) -> None:
    files = contents(made.bundle)
    day = "archive/mine/2026-03-04.parquet"
    table = pq.read_table(io.BytesIO(files[day]))
    value = table["value"].to_numpy().copy()
    value[:] *= 0.5
    lower = table.set_column(table.schema.get_field_index("value"), table.schema.field("value"), pa.array(value))
    buffer = io.BytesIO()
    pq.write_table(lower, buffer, compression="zstd")
    found = verify(packed(tmp_path / "t.zip", files | {day: buffer.getvalue()}, made.key), made.key.public)
    assert any(f.place == "mine/2026-03-04.parquet" for f in found)


def test_a_missing_day_another_order_and_another_key_are_found(made: Made, tmp_path: Path) -> None:
    files = contents(made.bundle)
    without = {n: c for n, c in files.items() if "2026-03-04" not in n}
    assert any("2026-03-04" in f.place for f in verify(packed(tmp_path / "a.zip", without, made.key), made.key.public))
    one, two = "archive/mine/chain/00000001.json", "archive/mine/chain/00000002.json"
    swapped = files | {one: files[two], two: files[one]}
    assert any("entry 1" in f.place for f in verify(packed(tmp_path / "b.zip", swapped, made.key), made.key.public))
    other = SigningKey(tmp_path / "other")
    foreign = packed(tmp_path / "c.zip", files | {"key.pub": other.public.pem}, other)
    assert any(f.place == "key.pub" for f in verify(foreign, made.key.public))
    assert verify(foreign) != []  # the chain is still signed with the true key


@pytest.mark.parametrize("name", ["../evil", "/evil", "a\\..\\evil"])
def test_a_name_that_leads_out_of_the_bundle_is_refused(made: Made, tmp_path: Path, name: str) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    found = verify(packed(tmp_path / "deep/er/t.zip", contents(made.bundle) | {name: b"x"}))
    assert found
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 1000])
def test_what_is_no_bundle_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.zip").write_bytes(content)
    assert verify(tmp_path / "t.zip")


def test_days_that_are_not_sealed_are_provisional_from_the_first_reading_on(made: Made, tmp_path: Path) -> None:
    early = FIRST + 6 * DAY + HOUR
    here = Installation(
        made.record.engine, made.registry, made.here.registry_folder, Archive(tmp_path / "archive"), made.key, DAY
    )
    with made.record.transaction() as connection:
        heads = connection.execute(sa.select(schema.archive_head)).all()
        connection.execute(sa.delete(schema.archive_head))
    period = Period("p", date(2026, 2, 27), date(2026, 3, 10))
    manifest = build(here, "mine", period, tmp_path / "p.zip", early)
    assert manifest.provisional == ["2026-03-07", "2026-03-08"]
    report = contents(tmp_path / "p.zip")["report.pdf"]
    assert "2026-03-09 至 2026-03-10 尚未到来" in page_text(report, 1)
    assert "首条读数收到之前的" in page_text(report, 2)
    assert verify(tmp_path / "p.zip", made.key.public) == []
    assert "provisional/2026-03-07.parquet" in contents(tmp_path / "p.zip")
    with made.record.transaction() as connection:
        connection.execute(sa.delete(schema.archive_head))
        connection.execute(sa.insert(schema.archive_head), [row._asdict() for row in heads])


@pytest.mark.usefixtures("font")
def test_a_mine_with_too_little_data_is_not_assessable(tmp_path: Path) -> None:
    registry = registry_of(tmp_path / "registry", {"mine": ("Asia/Shanghai", MINE)})
    record = record_at(record_in(tmp_path), registry)
    some = readings(channel(registry, "mine/homes/pm10"), np.arange(FIRST, FIRST + 10 * HOUR, MINUTE), 20.0)
    Pipeline(registry, record).commit(batch_of(registry, some), FIRST + DAY)
    here = Installation(
        record.engine,
        registry,
        tmp_path / "registry",
        Archive(tmp_path / "archive"),
        SigningKey(tmp_path / "keys"),
        DAY,
    )
    build(here, "mine", Period("p", date(2026, 3, 2), date(2026, 3, 3)), tmp_path / "p.zip", NOW)
    figures = json.loads(contents(tmp_path / "p.zip")["figures.json"])
    assert {s["theme"]: s["judgement"] for s in figures["summary"]} == dict.fromkeys(
        ("dust", "noise", "water"), "not assessable"
    )
    dust = next(s for s in figures["summary"] if (s["theme"], s["addressee"]) == ("dust", "quality"))
    assert dust["lacking"]["too-few-hours"] == 1
    assert dust["assessable_share"] == 0.0
    first = page_text(contents(tmp_path / "p.zip")["report.pdf"], 1)
    assert first.count("? 不可判定") == sum(s["addressee"] != "own" for s in figures["summary"])
    assert "有效小时不足 1 个" in first
    assert "✓" not in first
    assert verify(tmp_path / "p.zip") == []


@pytest.mark.usefixtures("font")
def test_a_mark_made_later_is_in_the_figures_and_its_restatement_is_told(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.here.registry_folder, tmp_path / "registry")  # type: ignore[arg-type]
    registry = registry_of(tmp_path / "registry")
    record = record_at(record_in(tmp_path), registry)
    pipeline = Pipeline(registry, record)
    index = channel(registry, "mine/homes/pm10")
    some = readings(index, np.arange(FIRST, FIRST + 3 * DAY, MINUTE), 200.0)
    pipeline.commit(batch_of(registry, some), FIRST + 3 * DAY)
    pipeline.commit(batch_of(registry, readings(index, [FIRST + 4 * DAY], 20.0)), FIRST + 4 * DAY)
    key = SigningKey(tmp_path / "keys")
    here = Installation(record.engine, registry, tmp_path / "registry", Archive(tmp_path / "archive"), key, DAY)
    period = Period("p", date(2026, 3, 3), date(2026, 3, 3))
    build(here, "mine", period, tmp_path / "a.zip", FIRST + 6 * DAY)
    pipeline.mark("mine", "homes", None, (FIRST + DAY, FIRST + 2 * DAY), "fault", "filter", "A", FIRST + 7 * DAY)
    more = '[[calibrations]]\nstation = "south"\nparameter = "tsp"\nvalid_from = 2026-03-20T00:00:00+08:00\ncertificate = "c"\n'
    Pipeline(registry_of(tmp_path / "other", more=more), record, now=FIRST + 7 * DAY)
    build(here, "mine", period, tmp_path / "b.zip", FIRST + 7 * DAY)

    def verdict(name: str) -> str:
        verdicts = json.loads(contents(tmp_path / name)["figures.json"])["verdicts"]
        return next(v["verdict"] for v in verdicts if v["rule"] == "mine/homes/gb3095-pm10-day-class2")

    assert (verdict("a.zip"), verdict("b.zip")) == ("exceeds", "not assessable")
    told = json.loads(contents(tmp_path / "b.zip")["record.json"])["restatements"]
    assert [(r["verdict"], r["change"]) for r in told] == [("exceeds", "first"), ("not assessable", "mark: fault")]
    assert verify(tmp_path / "a.zip", key.public) == verify(tmp_path / "b.zip", key.public) == []
    assert "archive/mine/2026-03-03.1.parquet" in contents(tmp_path / "b.zip")
    removed = json.loads(contents(tmp_path / "b.zip")["figures.json"])["removed"]
    assert [(r["value"], r["value_with_marks"], r["authors"], r["reasons"]) for r in removed if "day" in r["rule"]] == [
        (200.0, None, ["A"], ["filter"])
    ]
    first = page_text(contents(tmp_path / "b.zip")["report.pdf"], 1)
    assert "更改1处，其中限值及判定方法0处，更改人：直接改文件" in "".join(first.split())
    assert "calibrationsouth/tsp" in "".join(whole_text(contents(tmp_path / "b.zip")["report.pdf"]).split())
    assert "本期开始以来无更改" in "".join(page_text(contents(tmp_path / "a.zip")["report.pdf"], 1).split())
    assert "经标注剔除的超标时段" in first
    assert "经标注剔除（见下），本结论未计入" in "".join(first.split())
    assert "标注人A，确认人无" in "".join(first.split())
    assert "经标注剔除" not in page_text(contents(tmp_path / "a.zip")["report.pdf"], 1)


def test_a_bundle_verifies_where_no_server_parts_are_installed(made: Made, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_bytes(made.key.public.pem)
    done = light.run("evidence", "verify", made.bundle, "--key", tmp_path / "key.pub")
    assert done.returncode == 0, done.stderr
    assert "every figure follows from the raw data" in done.stdout


def test_commands_that_need_server_parts_say_what_to_install() -> None:
    done = light.run("demo")
    assert done.returncode == 1
    assert "greenmine[server]" in done.stderr
    assert "Traceback" not in done.stderr
