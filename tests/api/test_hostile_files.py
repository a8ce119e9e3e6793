"""Loggers' files that take too much: refused in one line, and another enterprise's is read straight afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest

from greenmine.api.http import uploads
from greenmine.api.http.turns import Turns
from greenmine.evidence.bounded import Bounds
from greenmine.loading import load_registry
from greenmine.record.record import migrate, open_engine
from tests.api.serving import serving
from tests.api.signing import accounts_in, bearer, ensure_user, now
from tests.records import record_in

GOOD = b"time,PM10\n" + b"".join(b"2025-03-01 01:%02d,%d\n" % (minute, 40 + minute) for minute in range(9))
Send = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def send(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Send]:
    """Have a file previewed at a mine, by its enterprise."""
    data, registry = tmp_path_factory.mktemp("mines"), load_registry()
    engine = open_engine(record_in(data))
    migrate(engine)
    engine.dispose()
    headers = {}
    with accounts_in(data) as accounts:
        for site in ("hengjie", "kunyin"):
            user = ensure_user(accounts, f"of-{site}", "enterprise", registry.site(site).enterprise)
            headers[site] = bearer(accounts.tokens.add(user, "t", now(), days=1, write=True))
    with serving(data, registry) as address, httpx.Client(base_url=address, timeout=60) as client:

        def previewed(site: str, station: str, name: str, content: bytes, **said: str) -> httpx.Response:
            given = {"site": site, "station": station, "name": name, **said}
            return client.post("/api/v1/uploads/preview", params=given, content=content, headers=headers[site])

        yield previewed


def test_a_hostile_file_is_refused_in_one_line_and_anothers_is_read(send: Send) -> None:
    refused = send("hengjie", "boundary", "long.csv", b"a," * 400_000).json()
    assert refused["detail"] == "long.csv: has more than 2,000 columns: split it"
    assert refused["detail_zh"] == "long.csv：超过 2,000 列：请拆分"
    assert send("kunyin", "receptor", "good.csv", GOOD).json()["readings"] == 9


@pytest.mark.parametrize(
    ("said", "rows", "first"),
    [
        ({"where": "Point=2"}, "PM10;Point\n{0};40;1\n{0};41;2\n{1};42;2\n", [41, 42]),
        ({"marks": "*=N"}, "PM10\n{0};40*\n{1};42\n", [40, 42]),
        ({"missing": "none", "tolerate": "1"}, "PM10\n{0};40\n{0};50\n{0};60\n{0};70\n{1};42\n", [40, 50, 60, 70, 42]),
        ({"total": "no", "columns": "pm10=PM10 total"}, "PM10 total\n{0};40\n{1};42\n", [40, 42]),
        ({"detection_limit": "3"}, "PM10\n{0};ND\n{1};42\n", [3, 42]),
        ({"decimal": "comma", "delimiter": ";"}, "PM10\n{0};1,234\n{1};1,236\n", [1.234, 1.236]),
        ({"encoding": "utf-8"}, "PM10 µg/m³\n{0};40\n{1};42\n", [40, 42]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_settles_a_file_for_analyse_settles_it_for_those_who_hand_it_in(
    send: Send, said: dict[str, str], rows: str, first: list[float]
) -> None:
    content = ("time;" + rows.format("2025-03-01 01:00", "2025-03-01 01:01")).encode()
    found = send("kunyin", "receptor", "log.csv", content, **said).json()
    assert [one["value"] for one in found["parameters"][0]["first"]] == first


@pytest.mark.parametrize("said", [{"marks": "*=X"}, {"where": "Point"}, {"encoding": "none"}, {"delimiter": "ab"}])
def test_a_field_that_cannot_be_understood_is_named(send: Send, said: dict[str, str]) -> None:
    answer = send("kunyin", "receptor", "log.csv", GOOD, **said)
    assert answer.status_code == 400
    assert next(iter(said)) in answer.json()["detail"]


def test_who_had_least_goes_first_and_many_of_one_owner_are_refused() -> None:
    had: list[str] = []

    async def turn(turns: Turns, owner: str, name: str, took: float = 0.0) -> None:
        async with turns.of(owner):
            had.append(name)
            await asyncio.sleep(took)

    async def all_at_once() -> list[BaseException | None]:
        turns = Turns()
        hostile = [turn(turns, "hostile", f"hostile {number}", 0.01) for number in range(5)]
        waits = [asyncio.create_task(one) for one in hostile]
        await asyncio.sleep(0)
        gone = asyncio.create_task(turn(turns, "gone", "gone"))
        waits.append(asyncio.create_task(turn(turns, "other", "other")))
        await asyncio.sleep(0)
        gone.cancel()
        return await asyncio.gather(*waits, return_exceptions=True)

    answers = asyncio.run(all_at_once())
    assert had == ["hostile 0", "other", "hostile 1", "hostile 2", "hostile 3"]
    assert [getattr(one, "status", None) for one in answers] == [None, None, None, None, 429, None]


def test_a_file_that_takes_longer_than_allowed_is_refused(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "_BRIEF", Bounds(2e9, 0.0))
        patch.setattr(uploads, "_BOUNDS", Bounds(2e9, 0.0))
        refused = send("hengjie", "boundary", "good.csv", GOOD).json()
    assert refused["detail"] == "good.csv: reading it takes more than 0 s: split it, or export it anew as CSV"
    assert refused["detail_zh"] == "good.csv：读取用时超过 0 s：请拆分，或重新导出为 CSV"
    assert send("kunyin", "receptor", "good.csv", GOOD).json()["readings"] == 9


def test_seconds_of_another_epoch_are_refused_until_the_field_says_that_they_are_right(send: Send) -> None:
    file = b"Seconds since 1990-01-01\ntime,PM10\n" + b"".join(
        b"%d,%d\n" % (1741000000 + 60 * i, 40 + i) for i in range(9)
    )
    refused = send("kunyin", "receptor", "log.csv", file).json()
    assert "counted from 1970 its seconds begin at 2025-03-03" in refused["detail"]
    assert send("kunyin", "receptor", "log.csv", file, epoch="1970").json()["readings"] == 9
