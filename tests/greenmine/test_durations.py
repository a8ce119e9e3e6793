from __future__ import annotations

import re

import pytest

from greenmine.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("500ms", 500),
        ("1s", 1_000),
        ("60s", 60_000),
        ("150s", 150_000),
        ("15min", 900_000),
        ("15 min", 900_000),
        ("1h", 3_600_000),
        ("1.5h", 5_400_000),
        ("0.1s", 100),
        ("24h", 86_400_000),
        ("1d", 86_400_000),
    ],
)
def test_a_duration_is_read_in_milliseconds(text: str, milliseconds: int):
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "60", "h", "1 hour", "1m", "-1s", "0s", "0.0001s", "1e3s", "1h30min", "１h"])
def test_another_form_is_refused_and_named(text: str):
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_duration(text)
