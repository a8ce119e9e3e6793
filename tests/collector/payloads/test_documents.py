from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.collector.payloads.reasons import Reason
from greenmine.collector.payloads.schemas import schemas, write_schemas
from greenmine.entries import Device, Profile, Site
from greenmine.limits import load_limits
from greenmine.parameters import load_parameters
from greenmine.registry import Channel, Registry
from greenmine.settings import Settings
from greenmine.themes import load_themes
from tests.collector.payloads.decoder_cases import HERE, RECEIVED

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "payloads.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```json (\w+) readings=(\d+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SCHEMA = {"greenmine": "own-v1.json", "senml": "senml.json", "thingsboard": "thingsboard.json"}
UNITS = {"pm10": "ug/m3", "laeq": "dB(A)"}


def speaking(form: str) -> Registry:
    """A registry with one device, 'd' at 's', that speaks a format."""
    profile = Profile(
        id="p", format=form, zone="Asia/Shanghai", interval="60s", sends_flags=False, receive_time=True, units=UNITS
    )
    device = Device(id="d", profile="p", station="gate", parameters=tuple(UNITS))
    words: dict[str, Any] = dict.fromkeys(
        ("name_zh", "name_en", "product_zh", "product_en", "scale", "batch_years", "source"), "x"
    )
    site = Site(
        id="s",
        enterprise="e",
        zone="Asia/Shanghai",
        batch=1,
        requirement_items=(),
        position=HERE,
        devices=(device,),
        **words,
    )
    parameters = load_parameters()
    channels = tuple(
        Channel(i, f"s/gate/{p}", "s", "gate", "d", parameters[p], 60_000, 1.0, 0.0, sends_flags=False)
        for i, p in enumerate(UNITS)
    )
    limits, conditions = load_limits()
    return Registry((), (site,), {"p": profile}, load_themes(), parameters, limits, conditions, channels, (), "")


@pytest.mark.parametrize(("form", "readings", "payload"), EXAMPLES)
def test_the_examples_of_the_page_are_decoded(form: str, readings: str, payload: str) -> None:
    builder = BatchBuilder(speaking(form), Settings())
    builder.add("greenmine/v1/s/d/readings", payload.encode(), RECEIVED)
    batch = builder.finish()
    assert batch.rejections == []
    assert len(batch.readings) == int(readings)


@pytest.mark.parametrize(("form", "readings", "payload"), EXAMPLES)
def test_the_examples_of_the_page_fit_the_schemas(form: str, readings: str, payload: str) -> None:
    schema = schemas()[SCHEMA[form]]
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(json.loads(payload)), readings
    assert not validator.is_valid(7)


def test_the_page_has_examples_of_every_format() -> None:
    assert {form for form, _, _ in EXAMPLES} == set(SCHEMA)


def test_the_page_explains_every_reason_in_both_languages() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (.+) \|$", PAGE.split("## Rejections")[1], re.MULTILINE)
    assert [code for code, _, _ in rows] == [reason.value for reason in Reason]
    assert all(re.search("[一-鿿]", chinese) for _, _, chinese in rows)


def test_the_schemas_in_the_documentation_are_current(tmp_path: Path) -> None:
    write_schemas(tmp_path)
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "schemas").iterdir()}
    assert written == kept, "run python -m greenmine.collector.payloads.schemas"
