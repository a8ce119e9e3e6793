"""``greenmine files``: what a file becomes, before anything is done with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenmine.cli import app

CASES = Path(__file__).parents[1] / "cases/files"


@pytest.fixture
def run(capsys):
    """Run the command in this process: output, errors and status."""

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            app(["files", *map(str, arguments)])
        out, err = capsys.readouterr()
        return out, err, end.value.code or 0

    return call


def test_it_shows_columns_units_and_first_readings(run):
    out, _, status = run("try", CASES / "make-campbell-toa5/log.dat")
    assert status == 0
    assert "make: Campbell Scientific TOA5" in out
    assert "time: 'TIMESTAMP'" in out
    assert "pm10: column 'PM10_Avg' in ug/m3" in out
    assert "first readings: 2025-11-17T13:00:00.000Z 21; 2025-11-17T13:15:00.000Z 23" in out
    assert "rain: column 'Rain_mm_Tot' in mm" in out


def test_it_shows_conversions_and_rows_of_long_tables(run):
    out, _, _ = run("try", CASES / "rows-for-each-parameter/log.csv")
    assert "pm10: column '数值' in mg/m3, times 1000" in out
    assert "pm2.5: column '数值' in ug/m3" in out


def test_it_says_why_nothing_can_be_read(run):
    out, err, status = run("try", CASES / "make-dylos/log.txt")
    assert status == 2
    assert "pm2.5: refused: no column is pm2.5: Small and Large are counts of particles" in out
    assert "no parameter can be read" in err


def test_an_own_description_is_used_and_options_stand_above_it(run, tmp_path):
    log = tmp_path / "odd.txt"
    log.write_text("#1 odd\n17112025@1300@0,021\n17112025@1315@0,023\n17112025@1330@0,025\n")
    layout = tmp_path / "odd.toml"
    layout.write_text(
        'make = "Odd"\ndelimiter = "@"\nskip = 1\nnames = ["day", "clock", "dust"]\ntime = ["day", "clock"]\n'
        'time_format = "%d%m%Y %H%M"\ndecimal = ","\nzone = "+08:00"\n'
        'columns = [{ name = "dust", parameters = ["pm10"], unit = "mg/m3" }]\n'
    )
    out, _, status = run("try", log, "--layout", layout)
    assert status == 0
    assert "first readings: 2025-11-17T05:00:00.000Z 21;" in out
    out, _, _ = run("try", log, "--layout", layout, "--unit", "ug/m3", "--stamp-zone", "UTC")
    assert "first readings: 2025-11-17T13:00:00.000Z 0.021;" in out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("colour = 1\n", "'colour' is not a key here"),
        ('zone = "Mars"\n', "zone: 'Mars' is not a time zone"),
        ('unit = "foot candle"\n', "unit: 'foot candle' is no unit that is known"),
        ('interval = "often"\n', "interval: 'often' is not a duration"),
        ('header = "("\n', "header: '(' is no regular expression"),
        ('columns = [{ name = "a", parameters = ["dust"] }]\n', "there is no parameter 'dust'"),
        ("marks = { x = 'Q' }\n", "marks"),
        ("= \n", "is not valid TOML"),
    ],
)
def test_a_description_with_a_fault_is_refused_with_its_place(run, tmp_path, text, complaint):
    layout = tmp_path / "layout.toml"
    layout.write_text(text)
    _, err, status = run("try", CASES / "gzip/log.gz", "--layout", layout)
    assert status == 2
    assert str(layout) in err
    assert complaint in err


def test_a_make_can_be_named(run):
    _, err, status = run("try", CASES / "gzip/log.gz", "--layout", "onset-hob")
    assert status == 2
    assert "neither a file nor a make; nearest: 'onset-hobo'" in err


def test_every_make_has_a_case_and_is_listed(run):
    out, _, _ = run("makes")
    listed = [line.split(":")[0] for line in out.splitlines()]
    texts = [(case / "expected.json").read_text() for case in CASES.glob("make-*")]
    assert len(listed) >= 20
    assert len(texts) >= len(listed)
