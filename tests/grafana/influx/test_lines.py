"""Line protocol: what is written comes back as it was, whatever the text; what is no number is not written."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS

from greenmine.grafana.influx.influx_schema import Field, Measurement, Tag
from greenmine.grafana.influx.lines import LONGEST, Encoder, series, text
from tests.influxing import real_influx

THING = Measurement(
    "thing",
    "",
    "",
    (Tag("place", ""), Tag("number", "")),
    (Field("value", "float", "", ""), Field("count", "integer", "", ""), Field("said", "string", "", "")),
)
ENCODER = Encoder(THING)

TEXTS = [
    "",
    "粉尘 超标：滤膜更换",
    'quotes " and "" more',
    "back\\slash \\ \\\\ end\\",
    'both \\" and "\\',
    "line\nbreak\r\nand\ttab",
    "commas, equals = spaces  #hash 'single' `tick`",
    "trailing comma,",
    "𝄞 😀 \u200b\u202e",
    "value=1i 1700000000000\nreading,site=other value=9 1",
    "x" * (LONGEST + 5),
]
PLACES = [
    "矿山 一号",
    "a b,c=d",
    '"quoted"',
    "pm2.5",
    "limit#target-1",
    "'",
    "= ",
    ",",
    "a\\ b",
    "ends\\",
    "two\nlines",
]


def test_texts_and_tags_come_back_from_a_real_influxdb_as_they_were(tmp_path: Path) -> None:
    lines = [
        ENCODER.line(ENCODER.series(place, str(i)), (0.5, 7, said), 1000 + i)
        for i, (place, said) in enumerate(zip(PLACES, TEXTS, strict=True))
    ]
    with real_influx(tmp_path / "influx") as server:
        server.query("CREATE DATABASE texts")
        with InfluxDBClient(server.url, token="any", org="any") as client:
            client.write_api(SYNCHRONOUS).write("texts", record="\n".join(lines).encode(), write_precision="ms")
        points = server.export("texts")
    assert list(points) == ["thing"]
    by_number = {int(dict(key)["number"]): (dict(key)["place"], fields) for key, fields in points["thing"].items()}
    assert {n: place for n, (place, _) in by_number.items()} == {
        i: place.replace("\\", "_").replace("\n", "_") for i, place in enumerate(PLACES)
    }
    assert {n: fields for n, (_, fields) in by_number.items()} == {
        i: {"value": 0.5, "count": 7, "said": said[:LONGEST]} for i, said in enumerate(TEXTS)
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_number_is_left_out(value: float | None) -> None:
    assert ENCODER.line("thing ", (value, 3, None), 5) == "thing count=3i 5"
    assert ENCODER.line("thing ", (value, None, None), 5) == ""


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_every_digit(value: float) -> None:
    name, _, sent = ENCODER.fields((value, None, None)).partition("=")
    assert (name, float(sent)) == ("value", value)


def test_a_tag_without_value_is_left_out() -> None:
    assert ENCODER.series("", "1") == "thing,number=1 "
    assert series("m", [("a", None)]) == "m "


@given(st.text())
def test_a_text_ends_where_its_quotes_do(said: str) -> None:
    inner = text(said)[1:-1]
    assert inner.replace("\\\\", "").replace('\\"', "").count('"') == 0
    assert not inner.replace("\\\\", "").endswith("\\")
