"""Rates as settings, and meters that hold senders to them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from greenmine.budgets import BURST, Callers, Meter, Rate, parse_rate
from greenmine.settings import Settings

T0 = 1_790_000_000_000


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("500/s 2000000/d", Rate(500, 2_000_000)),
        ("2000000/d 0.5/s", Rate(0.5, 2_000_000)),
        ("7/d", Rate(0, 7)),
        ("0", Rate()),
    ],
)
def test_a_rate_is_read_from_text(text: str, rate: Rate) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "500", "500/h", "5/s 6/s", "-1/s", "many"])
def test_any_other_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValidationError, match="500/s 2000000/d"):
        Settings(device_messages=text)


def test_a_budget_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENMINE_DEVICE_MESSAGES", "3/s 4/d")
    assert Settings().device_messages == Rate(3, 4)


def test_settings_with_budgets_survive_a_dump() -> None:
    settings = Settings(device_messages="3/s 4/d", device_bytes="0")
    assert Settings.model_validate(settings.model_dump()) == settings


def test_a_minutes_worth_comes_at_once_and_then_the_rate() -> None:
    meter = Meter(Rate(second=10))
    taken = 0
    while meter.fits(1, T0):
        meter.take(1, T0)
        taken += 1
    assert taken == 10 * BURST // 1000
    assert meter.room(T0) == 0
    assert meter.room(T0 + 1000) == 10
    assert meter.room(T0 + 10 * BURST) == 10 * BURST // 1000


def test_the_days_amount_is_never_passed() -> None:
    meter = Meter(Rate(day=100))
    meter.take(60, T0)
    assert not meter.fits(41, T0)
    assert meter.fits(40, T0)
    meter.take(40, T0)
    assert meter.room(T0 + 3600_000) == 0


def test_an_address_that_connects_too_often_waits_and_no_other_does() -> None:
    callers = Callers(Rate(second=1))
    assert [callers.admits("a", T0) for _ in range(61)] == [True] * 60 + [False]
    assert callers.admits("b", T0)
    assert callers.admits("a", T0 + 1000)


def test_a_connection_of_somebody_known_does_not_count() -> None:
    callers = Callers(Rate(second=1, day=100))
    for _ in range(200):
        assert callers.admits("a", T0)
        callers.vouch("a", T0)
    assert [callers.admits("a", T0) for _ in range(61)] == [True] * 60 + [False]


def test_connections_of_a_day_begin_again_with_the_next() -> None:
    callers = Callers(Rate(day=2))
    assert [callers.admits("a", T0) for _ in range(3)] == [True, True, False]
    assert callers.admits("a", T0 + 86_400_000)
