"""The wall screen: what calls for somebody, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from greenmine.api.pages.attention import attention
from greenmine.api.pages.pins import site_pins
from greenmine.registry import Registry
from tests.api.conftest import Served
from tests.api.filling import LOUD


@dataclass
class Room:
    state: str
    value: float | None
    hours: int = 6


def limit(**given: Any) -> Any:
    return SimpleNamespace(
        **({"kind": "legal", "open": False, "margin": 5.0, "running": 50.0, "headroom": None} | given)
    )


def channel(one: Any, state: str = "good") -> Any:
    return SimpleNamespace(limits=[one], health=SimpleNamespace(state=state))


@pytest.mark.parametrize(
    ("one", "lists"),
    [
        (limit(), (0, 0)),
        (limit(open=True), (1, 0)),
        (limit(margin=-0.1), (1, 0)),
        (limit(headroom=Room("exceeds", None)), (1, 0)),
        (limit(headroom=Room("open", 49.0)), (0, 1)),
        (limit(headroom=Room("open", 51.0)), (0, 0)),
        (limit(headroom=Room("open", 49.0, hours=0)), (0, 0)),
        (limit(kind="target", open=True), (0, 0)),
    ],
)
def test_a_limit_is_in_breach_or_on_course_or_neither(one: Any, lists: tuple[int, int]) -> None:
    found = attention([channel(one)])
    assert (len(found.breach), len(found.course)) == lists


def test_a_silent_channel_calls_for_somebody() -> None:
    assert len(attention([channel(limit(), "silent"), channel(limit(), "unknown")]).faulty) == 1


def test_mines_stand_on_the_map_as_they_lie(registry: Registry) -> None:
    found = {pin.id: pin for pin in site_pins(registry.sites, {}, {})}
    for id_, one in found.items():
        site = registry.site(id_)
        for neighbour, other in ((registry.site(name), pin) for name, pin in found.items()):
            if site.position.latitude > neighbour.position.latitude:
                assert one.y <= other.y
            if site.position.longitude > neighbour.position.longitude:
                assert one.x >= other.x
    assert all(0 < pin.x < 640 and 0 < pin.y < 420 for pin in found.values())
    (alone,) = site_pins(registry.sites[:1], {}, {})
    assert (alone.x, alone.y) == (320, 210)


def test_the_page_leads_to_the_loud_mine(served: Served) -> None:
    page = served.client.get("/wall", params={"lang": "en"})
    assert page.status_code == 200
    assert f'href="/sites/{LOUD}"' in page.text
    assert "Above a limit now" in page.text


def test_the_map_never_shows_compliance_that_is_indicative(served: Served) -> None:
    page = served.client.get("/wall", params={"lang": "en"}).text
    shown = re.findall(r'class="pin meets (\w+)".*?class="sign"[^>]*>([^<]+)<', page, re.DOTALL)
    assert shown
    assert [sign for standing, sign in shown if sign != {"statutory": "✓", "indicative": "○"}[standing]] == []
