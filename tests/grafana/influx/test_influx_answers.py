"""Answers of InfluxDB that say nothing: each is an error, and none ever leads to a deletion."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import urllib3

from greenmine.grafana.influx.influx import Influx, UnavailableError
from greenmine.grafana.influx.influx_provision import provision
from greenmine.grafana.influx.projection import Projection
from greenmine.loading import load_registry
from greenmine.processing.rolling import hourly_statistics
from greenmine.record.follower import behind
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.between import Answer, Between, between
from tests.grafana.influx.test_projection_disturbed import restate_by_hand
from tests.influxing import RealInflux, real_influx
from tests.projecting import Mines, projection_settings

NO_ROWS = b'{"results":[{"statement_id":0}]}'
EMPTY = {
    "an empty object": Answer(body=b"{}"),
    "nothing": Answer(body=b""),
    "no results": Answer(body=b'{"results":[]}'),
    "another statement's result": Answer(body=b'{"results":[{"statement_id":1}]}'),
    "an unnumbered result": Answer(body=b'{"results":[{}]}'),
    "a part of the rows": Answer(body=b'{"results":[{"statement_id":0,"series":[],"partial":true}]}'),
    "a list": Answer(body=b"[]"),
    "half an answer": Answer(body=NO_ROWS[:20], missing=12),
    "half an answer of full length": Answer(body=NO_ROWS[:20]),
    "a proxy's page": Answer(body=b"<html>gateway</html>"),
    "401": Answer(401, b'{"code":"unauthorized","message":"unauthorized access"}'),
    "403": Answer(403, b'{"code":"forbidden","message":"insufficient permissions"}'),
    "404": Answer(404, b'{"code":"not found","message":"database not found"}'),
    "503": Answer(503, b'{"code":"unavailable","message":"starting"}'),
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealInflux]:
    with real_influx(tmp_path_factory.mktemp("influx")) as running:
        yield running


@pytest.fixture
def proxy(server: RealInflux) -> Iterator[Between]:
    with between(server.url) as running:
        yield running


def settings_for(proxy: Between, version: str = "2") -> Settings:
    chosen = {"influx_url": proxy.url, "influx_version": version, "influx_timeout_seconds": 5.0}
    return Settings.model_validate(Settings().model_dump() | chosen)


@pytest.mark.parametrize("answer", EMPTY.values(), ids=EMPTY)
def test_an_answer_without_the_result_of_the_query_is_an_error(proxy: Between, answer: Answer) -> None:
    proxy.answers["/query"] = answer
    with pytest.raises(UnavailableError):
        Influx(settings_for(proxy), "token").ask("greenmine_district", "SELECT 1")


def test_no_rows_are_said_by_the_result_of_the_query(proxy: Between) -> None:
    proxy.answers["/query"] = Answer(body=NO_ROWS)
    assert Influx(settings_for(proxy), "token").ask("greenmine_district", "SELECT 1") == []


def test_a_query_after_a_deletion_is_asked_as_before_it(proxy: Between) -> None:
    """A client that adds a request's content type to the headers of all would have the next query answered with nothing."""
    proxy.answers |= {"/api/v2/delete": Answer(204), "/query": Answer(body=NO_ROWS)}
    influx = Influx(settings_for(proxy), "token")
    before = dict(influx._headers)
    influx.delete("greenmine_district", "verdict", [("limit", "a")], 0, 1)
    influx.ask("greenmine_district", "SELECT 1")
    assert influx._headers == before


def test_keys_of_a_deletion_are_quoted_as_limit_is_a_word_of_its_language(proxy: Between) -> None:
    proxy.answers["/api/v2/delete"] = Answer(204)
    Influx(settings_for(proxy), "token").delete("greenmine_district", "verdict", [("limit", 'a"b')], 0, 1)
    assert r'"\"_measurement\"=\"verdict\" AND \"limit\"=\"a\\\"b\""' in proxy.seen[-1]


@pytest.mark.parametrize("answer", EMPTY.values(), ids=EMPTY)
def test_the_projection_deletes_nothing_on_an_answer_that_says_nothing(
    proxy: Between, server: RealInflux, registry: Registry, tmp_path: Path, answer: Answer
) -> None:
    mines = Mines(tmp_path, registry, ["jiuchi"], 0.02)
    mines.go_on()
    settings = projection_settings(tmp_path, server, influx_url=proxy.url)
    provision(settings, registry)
    projection = Projection(settings, registry, hourly_statistics, sample=0.0)
    turns(projection)
    held = server.rows('SELECT count("value") FROM "reading"', "greenmine_district")
    proxy.seen.clear()
    proxy.answers["/query"] = answer
    turns(projection)
    proxy.answers.clear()
    turns(projection)
    assert proxy.deletions() == []
    assert server.rows('SELECT count("value") FROM "reading"', "greenmine_district") == held
    assert {c.generation for c in projection.cursors.all()} == {0}
    assert any(c.failures for c in projection.cursors.all())


def turns(projection: Projection) -> None:
    """Let the projection go on, however long it would wait."""
    for _ in range(4):
        projection._again = 0.0
        for bucket in projection._buckets:
            bucket._again = 0.0
        while projection.turn():
            pass


def test_a_deletion_that_is_refused_for_good_is_counted_and_passed(
    proxy: Between, server: RealInflux, registry: Registry, tmp_path: Path
) -> None:
    mines = Mines(tmp_path, registry, ["hengjie"], 1.0)
    mines.go_on()
    provision(projection_settings(tmp_path, server), registry)
    settings = projection_settings(tmp_path, server, influx_url=proxy.url, influx_version="2")
    proxy.answers["/api/v2/delete"] = Answer(400, b'{"code":"invalid","message":"the predicate cannot be read"}')
    projection = Projection(settings, registry, hourly_statistics)
    turns(projection)
    restate_by_hand(mines.engine)
    turns(projection)
    district = {c.bucket: c for c in projection.cursors.all()}["greenmine_district"]
    asked = [request for request in proxy.deletions() if "greenmine_district" in request]
    assert 0 < len(asked) == district.refused
    assert "the predicate cannot be read" in district.trouble
    with mines.engine.connect() as connection:
        assert behind(connection, district.whole) == (None, 0)


def test_urllib3_is_owned_by_one_distribution() -> None:
    """Two of them write into each other's files, and then neither is what was tested; `make clean` removes the second."""
    assert metadata.packages_distributions()["urllib3"] == ["urllib3"]
    assert "urllib3-future" not in {d.name.lower() for d in metadata.distributions()}
    assert urllib3.__version__ == metadata.version("urllib3")
