"""``greenmine judge``: its call, its files, its forms of output and its status."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pypdfium2
import pytest

from greenmine.cli.files import Reading
from greenmine.cli.judge import judge
from greenmine.wording.messages import texts

DAY = datetime(2026, 3, 10)  # noqa: DTZ001  local time of the site
TSP, LAEQ = "hengjie/boundary/tsp", "hengjie/boundary/laeq"
RULE = "hengjie/boundary/gb29620-boundary-tsp"
FIRST_VERSION = Path(__file__).parents[1] / "cases" / "first-version"
COMMAND = str(Path(sys.executable).with_name("greenmine"))


def readings(folder: Path, high: float = 300.0, name: str = "readings.csv") -> Path:
    """A day of dust at the boundary: 300, and from 10:00 to 11:00 something else."""
    rows = [f"{TSP},{DAY + timedelta(minutes=m)},{high if 600 <= m < 660 else 300}" for m in range(1440)]
    (path := folder / name).write_text("channel,time,value\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def mark(folder: Path, name: str = "marks.toml", **more: object) -> Path:
    rows = {
        "site": "hengjie", "station": "boundary", "parameter": "tsp", "start": "2026-03-10T10:00:00+08:00",
        "end": "2026-03-10T11:00:00+08:00", "kind": "maintenance", "reason": "cleaning", "author": "operator",
    } | more  # fmt: skip
    text = {
        "marks.toml": "[[marks]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in rows.items()),
        "marks.json": json.dumps([rows]),
        "marks.csv": ",".join(rows) + "\n" + ",".join(map(str, rows.values())) + "\n",
    }[name]
    (path := folder / name).write_text(text, encoding="utf-8")
    return path


def run(capsys: pytest.CaptureFixture[str], *paths: Path | str, status: int = 0, **options: object) -> str:
    """What is printed, after the status was as expected."""
    code = 0
    try:
        judge(readings=[str(path) for path in paths], **{"period": "2026-03-10", **options})
    except SystemExit as end:
        code = end.code
    out = capsys.readouterr()
    assert (code, out.err) == (status, out.err), out.err
    return out.err if status == 2 else out.out


def document(capsys: pytest.CaptureFixture[str], *paths: Path | str, status: int = 0, **options: object) -> dict:
    return json.loads(run(capsys, *paths, status=status, format="json", **options))


def dust(found: dict, addressee: str = "emission") -> dict:
    (row,) = [r for r in found["summary"] if (r["theme"], r["addressee"]) == ("dust", addressee)]
    return row


def test_an_exceedance_of_the_mine_s_own_emission_is_status_1(tmp_path: Path, capsys) -> None:
    found = document(capsys, readings(tmp_path, 1004), status=1)
    (above,) = [v for v in found["verdicts"] if v["judgement"] == "exceeds"]
    assert (above["rule"], above["limit"], above["channel"]) == (RULE, "gb29620-boundary-tsp", TSP)
    assert (above["start"], above["end"]) == ("2026-03-10T10:00:00+08:00", "2026-03-10T11:00:00+08:00")
    assert above["value"] == pytest.approx(1004)
    assert above["standing"] == "indicative"
    assert "no-automatic-method" in above["reasons"]
    assert (dust(found)["judgement"], dust(found)["standing"]) == ("exceeds", "indicative")


def test_limits_that_are_met_are_status_0(tmp_path: Path, capsys) -> None:
    found = document(capsys, readings(tmp_path))
    assert {v["judgement"] for v in found["verdicts"] if v["rule"] == RULE} == {"meets"}
    assert dust(found)["judgement"] == "meets"


def test_every_window_has_a_verdict_and_what_was_not_measured_is_not_assessable(tmp_path: Path, capsys) -> None:
    found = document(capsys, readings(tmp_path), period="2026-03-10/2026-03-11")
    hours = [v for v in found["verdicts"] if v["rule"] == RULE]
    assert [v["period_start"] for v in hours] == [(DAY + timedelta(hours=h)).isoformat() + "+08:00" for h in range(48)]
    assert {v["judgement"] for v in hours[24:]} == {"not assessable"}
    assert {v["reasons"][0] for v in hours[24:]} == {"no-data"}
    assert dust(found)["judgement"] == dust(found, "quality")["judgement"] == "not assessable"


def test_rows_of_csv_are_the_verdicts(tmp_path: Path, capsys) -> None:
    path = readings(tmp_path)
    rows = list(csv.DictReader(io.StringIO(run(capsys, path, format="csv"))))
    assert [(r["rule"], r["start"], r["judgement"]) for r in rows] == [
        (v["rule"], v["start"], v["judgement"]) for v in document(capsys, path)["verdicts"]
    ]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_text_says_what_a_person_is_told(tmp_path: Path, capsys, language) -> None:
    text = run(capsys, readings(tmp_path, 1004), status=1, language=language)
    own = texts("greenmine.wording", language)
    first = text.index(own["addressee.emission"])
    assert first < text.index(own["conclusion.exceeds-indicative"]) < text.index(own["addressee.quality"])
    assert own["conclusion.meets-statutory"] not in text[first : text.index(own["addressee.quality"])].splitlines()[1]


@pytest.mark.parametrize("name", ["marks.toml", "marks.json", "marks.csv"])
def test_a_confirmed_mark_takes_readings_out_and_both_figures_stay(tmp_path: Path, capsys, name: str) -> None:
    marks = mark(tmp_path, name, confirmed_by="supervisor")
    found = document(capsys, readings(tmp_path, 1004), marks=marks)
    (gone,) = found["removed"]
    assert (gone["state"], gone["judgement"], gone["judgement_with_marks"]) == (
        "confirmed",
        "exceeds",
        "not assessable",
    )
    assert gone["value"] == pytest.approx(1004)
    assert [(m["author"], m["confirmed_by"], m["reason"]) for m in gone["marks"]] == [
        ("operator", "supervisor", "cleaning")
    ]


def test_a_mark_that_nobody_confirmed_takes_no_exceedance_away(tmp_path: Path, capsys) -> None:
    found = document(capsys, readings(tmp_path, 1004), marks=mark(tmp_path), status=1)
    (claim,) = found["removed"]
    assert claim["state"] == "claimed"
    assert dust(found)["judgement"] == "exceeds"
    text = run(capsys, readings(tmp_path, 1004), marks=mark(tmp_path), status=1, language="en")
    assert "no supervisor has confirmed it" in text


def test_a_mark_that_takes_nothing_out_is_named(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        judge(readings=[str(readings(tmp_path, 1004))], period="2026-03-10", marks=mark(tmp_path, kind="blasting"))
    assert "a mark of the kind blasting takes nothing out at hengjie/boundary/tsp" in capsys.readouterr().err


@pytest.mark.parametrize("nobody", [" ", "\u3000", "\u200b", "-", "—"])
def test_a_name_without_a_letter_confirms_nothing(tmp_path: Path, capsys, nobody: str) -> None:
    marks = mark(tmp_path, "marks.json", confirmed_by=nobody)
    found = document(capsys, readings(tmp_path, 1004), marks=marks, status=1)
    assert found["removed"][0]["state"] == "claimed"


def test_a_mark_that_takes_no_exceedance_away_counts_without_confirmation(tmp_path: Path, capsys) -> None:
    found = document(capsys, readings(tmp_path), marks=mark(tmp_path))
    assert found["removed"] == []
    (hour,) = [v for v in found["verdicts"] if v["rule"] == RULE and v["start"] == "2026-03-10T10:00:00+08:00"]
    assert hour["judgement"] == "not assessable"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"site": "hengjei"}, "there is no site 'hengjei'; nearest: 'hengjie'"),
        ({"station": "bound"}, "there is no station 'bound'; nearest: 'boundary'"),
        ({"parameter": "ph"}, "boundary has no parameter 'ph'"),
        ({"kind": "rain"}, "there is no kind 'rain'"),
        ({"start": "yesterday"}, "'yesterday' is not an ISO 8601 time"),
        ({"end": "2026-03-10T10:00:00+08:00"}, "must come after start"),
        ({"confirmed_by": "operator"}, "operator cannot confirm a mark of their own"),
        ({"confirmed_by": "ＯＰＥＲ\u200bator "}, "operator cannot confirm a mark of their own"),
        ({"author": " \u200b"}, "author is missing"),
        ({"station": ["boundary"]}, "station"),
        ({"reason": ""}, "reason is missing"),
        ({"by": "x"}, "'by' is not a key here"),
    ],
)
def test_a_wrong_mark_is_status_2(tmp_path: Path, capsys, more: dict[str, str], said: str) -> None:
    assert said in run(capsys, readings(tmp_path), marks=mark(tmp_path, **more), status=2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"period": "March"}, "period 'March'"),
        ({"site": "hengjei"}, "there is no site 'hengjei'"),
        ({"registry": Path("nowhere")}, "nowhere is not a directory"),
        ({"marks": Path("nowhere.toml")}, "nowhere.toml"),
    ],
)
def test_a_wrong_call_is_status_2(tmp_path: Path, capsys, options: dict[str, object], said: str) -> None:
    assert said in run(capsys, readings(tmp_path), status=2, **options)


def test_a_file_that_is_not_there_is_status_2(tmp_path: Path, capsys) -> None:
    assert "none.csv" in run(capsys, tmp_path / "none.csv", status=2)


def test_files_without_any_value_are_status_2(tmp_path: Path, capsys) -> None:
    path = tmp_path / "empty.csv"
    path.write_text(f"channel,time,value\n{TSP},2026-03-10T10:00,\n", encoding="utf-8")
    assert "nothing to judge" in run(capsys, path, status=2)


def test_of_an_instant_that_comes_twice_the_first_counts_and_both_are_counted(tmp_path: Path, capsys) -> None:
    first, second = readings(tmp_path, 300), readings(tmp_path, 1004, "again.csv")
    found = document(capsys, first, second)
    assert found["readings"] == {"rows": 2880, "without_value": 0, "repeated": 1440, "conflicting": 60, "unused": 0}
    found = document(capsys, second, first, status=1)
    assert found["readings"]["conflicting"] == 60


def test_readings_that_are_not_judged_are_counted(tmp_path: Path, capsys) -> None:
    path = readings(tmp_path)
    assert document(capsys, path, period="2026-03-12")["readings"]["unused"] == 0  # two days before the period count
    assert document(capsys, path, period="2026-04-12")["readings"]["unused"] == 1440
    assert document(capsys, path, site="kunyin")["readings"]["unused"] == 1440


def test_an_enterprise_is_not_blamed_for_the_air_around_it(tmp_path: Path, capsys) -> None:
    rows = [f"hengjie/receptor/pm10,{DAY + timedelta(minutes=m)},300" for m in range(1440)]
    (path := tmp_path / "homes.csv").write_text("channel,time,value\n" + "\n".join(rows) + "\n", encoding="utf-8")
    found = document(capsys, path)
    assert dust(found, "quality")["judgement"] == "exceeds"
    assert dust(found)["judgement"] == "not assessable"


def test_a_registry_of_the_first_version_stays_valid(tmp_path: Path, capsys) -> None:
    found = document(capsys, readings(tmp_path, 1004), registry=FIRST_VERSION, status=1)
    (above,) = [v for v in found["verdicts"] if v["judgement"] == "exceeds"]
    assert (above["limit"], above["start"], above["addressee"]) == (
        "db50-418-fugitive", "2026-03-10T10:00:00+08:00", "emission",
    )  # fmt: skip
    assert (dust(found)["standing"], dust(found, "quality")["judgement"]) == ("indicative", "not assessable")


def test_the_command_exits_with_the_status(tmp_path: Path) -> None:
    path = readings(tmp_path, 1004)
    call = [COMMAND, "judge", "--readings", str(path), "--period", "2026-03-10", "--format", "json"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["sites"], done.stderr) == (1, ["hengjie"], "")


def logger_file(folder: Path, high: float = 0.3, rows: str = "") -> Path:
    """A day of a logger's own file: local stamps, dust in mg/m3 beside sound."""
    lines = [
        f"{DAY + timedelta(minutes=m):%Y/%m/%d %H:%M};{(high if 600 <= m < 660 else 0.3) + m % 5 / 1000:.3f};45.1"
        for m in range(1440)
    ]
    (path := folder / "logger.csv").write_text(
        "Datum;TSP (mg/m3);LAeq (dB)\n" + "\n".join(lines) + f"\n{rows}", encoding="utf-8"
    )
    return path


def test_a_logger_s_own_file_is_judged_like_its_readings(tmp_path: Path, capsys) -> None:
    own = document(capsys, f"hengjie/boundary={logger_file(tmp_path, 1.004)}", status=1)
    (above,) = [v for v in own["verdicts"] if v["judgement"] == "exceeds"]
    assert (above["rule"], above["start"]) == (RULE, "2026-03-10T10:00:00+08:00")
    assert above["value"] == pytest.approx(1006)
    assert own["readings"]["rows"] == 2 * 1440


def test_columns_of_a_logger_s_own_file_can_be_named(tmp_path: Path, capsys) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(logger_file(tmp_path, 1.004).read_text().replace("TSP", "Kanal 1"), encoding="utf-8")
    found = document(capsys, f"hengjie/boundary={path}", status=1, value=["tsp=Kanal 1 (mg/m3)"])
    assert [v["start"] for v in found["verdicts"] if v["judgement"] == "exceeds"] == ["2026-03-10T10:00:00+08:00"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("hengjie/nowhere={}", {}, "there is no station 'hengjie/nowhere'"),
        ("hengjie/weather={}", {}, "none is named after what hengjie/weather measures"),
        ("hengjie/boundary={}", {"value": ["ph=TSP"]}, "hengjie/boundary does not measure ph"),
        ("hengjie/boundary={}", {"value": ["tsp"]}, "PARAMETER=COLUMN is needed"),
        ("hengjie/boundary={}", {"reading": Reading(mark=["?=D"], missing=["none"], unit="K")}, "cannot be converted"),
    ],
)
def test_a_logger_s_own_file_that_does_not_fit_is_refused(
    name: str, options: dict[str, object], said: str, tmp_path: Path, capsys
) -> None:
    assert said in run(capsys, name.format(logger_file(tmp_path)), status=2, **options)


def test_options_for_loggers_files_need_one(tmp_path: Path, capsys) -> None:
    assert "need one: --readings SITE/STATION=FILE" in run(capsys, readings(tmp_path), status=2, value=["tsp=Dust"])


@pytest.mark.parametrize(
    ("language", "told"), [("zh", "高于限值（参考方法测得，须经手工监测确认）"), ("en", "to be confirmed")]
)
def test_the_pdf_says_on_its_first_page_what_the_text_says(language: str, told: str, tmp_path: Path) -> None:
    command = [COMMAND, "judge", "--readings", readings(tmp_path, 1004), "--period", "2026-03-10", "--format", "pdf"]
    made = subprocess.run([*command, "--language", language], capture_output=True, check=False)
    assert made.returncode == 1
    page = pypdfium2.PdfDocument(made.stdout)[0].get_textpage().get_text_range()
    assert told in " ".join(page.split()).replace(" ", "" if language == "zh" else " ")
    assert "2026-03-10" in page


@pytest.mark.parametrize(("bound", "status"), [("2.0", 2), ("0.9", 0)])
def test_a_limit_of_detection_above_the_limit_of_the_law_shows_nothing(bound, status, tmp_path: Path, capsys) -> None:
    path = logger_file(tmp_path)
    path.write_text(re.sub(r";0\.30\d;", f";<{bound};", path.read_text()), encoding="utf-8")
    found = run(capsys, f"hengjie/boundary={path}", status=status)
    assert ("neither that gb29620-boundary-tsp, 1000, is met nor that it is exceeded" in found) is (status == 2)


def test_values_that_may_stand_for_none_refuse_a_logger_s_file_until_somebody_says(tmp_path: Path, capsys) -> None:
    path = logger_file(tmp_path)
    path.write_text(path.read_text().replace(";0.304;", ";9.999;"), encoding="utf-8")
    assert "288 values (9999) may stand for no value" in run(capsys, f"hengjie/boundary={path}", status=2)
    found = document(capsys, f"hengjie/boundary={path}", reading=Reading(missing=["9.999"]))
    assert dust(found)["exceeds"] == 0
