"""The routes of data loggers: what is reported, what is missing, what they say; nothing leaves the scope."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select

from greenmine.record import schema
from greenmine.registry import Registry
from tests.api.filling import engine_of
from tests.api.serving import serving
from tests.api.signing import bearer, token_for
from tests.records import record_in

START = 1_790_000_000_000 // 3_600_000 * 3_600_000
MINUTE = 60_000
SITES = ("jiuchi", "hengjie")
ROUTES = ("/api/v1/loggers/reported", "/api/v1/loggers/gaps", "/api/v1/loggers/information")


def _fill(path: Path) -> None:
    engine = engine_of(path)
    with engine.begin() as connection:
        for site in SITES:
            connection.execute(insert(schema.channel).values(key=f"{site}/boundary/pm10"))
            number = connection.scalar(
                select(schema.channel.c.id).where(schema.channel.c.key == f"{site}/boundary/pm10")
            )
            for n in range(5):
                start = START + n * MINUTE
                row = {"channel": number, "command": "2051", "start": start, "end": start + MINUTE, "flag": "N"}
                compared = {"own_mean": 40.0, "own_count": 2, "difference": 2.5, "compared": start} if n else {}
                row |= {"mean": 42.5, "minimum": 1.0, "maximum": 50.0, "received": start + MINUTE}
                connection.execute(insert(schema.reported).values(revision=1, latest=True, **row, **compared))
                connection.execute(insert(schema.reported).values(revision=0, latest=False, **row | {"mean": 1.0}))
                gap = {"site": site, "device": "boundary-dust", "start": start, "end": start + MINUTE, "found": START}
                state = "filled" if n else "unfilled"
                gap |= {
                    "state": state,
                    "filled": n and 1,
                    "source": "reported" if n else "",
                    "asked": 1,
                    "changed": START,
                }
                connection.execute(insert(schema.gap).values(**gap))
                said = {"received": start, "site": site, "device": "boundary-dust", "command": "3020", "time": start}
                connection.execute(insert(schema.information).values(**said, content='[["InfoId","i11001"]]'))
    engine.dispose()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[tuple[str, Path]]:
    data = tmp_path_factory.mktemp("loggers")
    _fill(record_in(data))
    with serving(data, registry) as address:
        yield address, data


def client_of(served: tuple[str, Path], enterprise: str | None = None) -> httpx.Client:
    """Whoever may see all sites, or those of an enterprise."""
    address, data = served
    secret = token_for(data, enterprise, "enterprise", enterprise) if enterprise else token_for(data)
    return httpx.Client(base_url=address, headers=bearer(secret), timeout=20)


@pytest.fixture(scope="module")
def everything(served: tuple[str, Path]) -> Iterator[httpx.Client]:
    with client_of(served) as client:
        yield client


@pytest.fixture(scope="module")
def one(served: tuple[str, Path]) -> Iterator[httpx.Client]:
    with client_of(served, "jiuchi") as client:
        yield client


def items(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def site_of(item: dict[str, Any]) -> str:
    return str(item.get("site") or item["channel"].split("/")[0])


@pytest.mark.parametrize("path", ROUTES)
def test_nothing_of_another_enterprise_is_told(everything: httpx.Client, one: httpx.Client, path: str) -> None:
    assert {site_of(item) for item in items(everything, path)} == set(SITES)
    assert {site_of(item) for item in items(one, path)} == {"jiuchi"}
    assert {site_of(item) for item in items(everything, f"{path}?site=hengjie")} == {"hengjie"}
    assert one.get(f"{path}?site=hengjie").status_code == 404


@pytest.mark.parametrize("path", ROUTES)
def test_logger_pages_give_every_item_once(everything: httpx.Client, path: str) -> None:
    whole, pages, cursor = items(everything, path), [], ""
    while True:
        answer = everything.get(f"{path}?size=3{cursor}").json()
        pages += answer["items"]
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"
    assert pages == whole
    assert len(whole) == 10


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("query", ["colour=red", "cursor=x", "size=0"])
def test_a_wrong_argument_is_an_error(one: httpx.Client, path: str, query: str) -> None:
    assert one.get(f"{path}?{query}").status_code == 400


def test_a_report_stands_beside_our_own_figure(one: httpx.Client) -> None:
    first, second, *_ = items(one, "/api/v1/loggers/reported")
    assert (second["channel"], second["command"], second["unit"]) == ("jiuchi/boundary/pm10", "2051", "ug/m3")
    assert (second["mean"], second["own_mean"], second["own_count"], second["difference"]) == (42.5, 40.0, 2, 2.5)
    assert second["start"].endswith("+08:00")
    assert (first["own_mean"], first["compared"]) == (None, None)


def test_gaps_are_filtered_by_state_and_period(one: httpx.Client) -> None:
    assert [item["state"] for item in items(one, "/api/v1/loggers/gaps?state=unfilled")] == ["unfilled"]
    (gap,) = items(one, "/api/v1/loggers/gaps?state=filled&to=2026-09-21T22:02:00%2B08:00")
    assert (gap["minutes"], gap["filled"], gap["source"], gap["asked"]) == (1, 1, "reported", 1)
    assert items(one, "/api/v1/loggers/gaps?from=2026-09-21T23:00:00%2B08:00") == []


def test_information_is_told_as_it_was_sent(one: httpx.Client) -> None:
    assert items(one, "/api/v1/loggers/information")[0]["content"] == "InfoId=i11001"
