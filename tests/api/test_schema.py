"""Requests made from the OpenAPI document find no server error and no answer that the document does not describe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from greenmine.registry import Registry
from tests.api.filling import LOUD, fill
from tests.api.operations import document_and_pages
from tests.api.serving import serving
from tests.api.signing import bearer, now, token_for
from tests.records import record_in

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS = "/api/v1/events"
"""Never ends; test_events.py is about it."""
KNOWN = {"site": LOUD, "station": "boundary", "channel": f"{LOUD}/boundary/tsp", "number": 1, "every": "5min"}
"""Of these, half the requests name what there is: chance would hardly hit it."""
OPERATIONS = [
    (mode, method, path)
    for path, methods in document_and_pages()[0]["paths"].items()
    for method, operation in methods.items()
    for mode in GenerationMode
    if path != ENDLESS and (mode is GenerationMode.POSITIVE or operation.get("parameters"))
]


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        yield made


@pytest.fixture(scope="module")
def served_schema(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[tuple[Any, dict[str, str]]]:
    """The document as it is served, and an administrator's token."""
    data = tmp_path_factory.mktemp("schema")
    engine = fill(record_in(data), registry, now())
    headers = bearer(token_for(data))
    with serving(data, registry) as address:
        yield schemathesis.openapi.from_url(f"{address}/api/v1/openapi.json"), headers
    engine.dispose()


@pytest.mark.parametrize(("mode", "method", "path"), OPERATIONS)
def test_the_server_keeps_to_its_document(
    session: requests.Session, served_schema: tuple[Any, dict[str, str]], mode: GenerationMode, method: str, path: str
) -> None:
    schema, headers = served_schema

    @settings(
        max_examples=5,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][method].as_strategy(generation_mode=mode), known=st.booleans())
    def keeps_to_it(case: Any, known: bool) -> None:
        for place in (case.query, case.path_parameters) if known else ():
            place |= {name: KNOWN[name] for name in place or () if name in KNOWN}
        # The filled record's worker has stopped: /healthz may say so with 503, which its document describes.
        checks = [check for check in CHECKS if path != "/healthz" or check is not not_a_server_error]
        answer = case.call_and_validate(headers=headers, checks=checks, session=session)
        assert answer.status_code < 500 or (path, answer.status_code) == ("/healthz", 503)

    keeps_to_it()
