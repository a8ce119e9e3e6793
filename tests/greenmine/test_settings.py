"""Settings that cannot be meant are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from greenmine.settings import Settings

NUMBERS = [
    name
    for name, field in Settings.model_fields.items()
    if any(kind in str(field.annotation) for kind in ("int", "float")) and "Rate" not in str(field.annotation)
]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("given", ["abc", "-1", "nan", "inf", "1e400", "99999999999999999999999"])
def test_no_number_is_taken_that_is_none_or_beyond_all_measure(name: str, given: str) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: given})


@pytest.mark.parametrize(
    "name", ["broker_queue", "batch_readings", "payload_limit", "hj212_rate", "hj212_backlog", "silent_minutes"]
)
def test_nothing_at_all_is_refused_where_all_would_stop(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: "0"})


@pytest.mark.parametrize(
    "given",
    [
        "rubbish",
        "http://",
        "ftp://x",
        "http://[::1",
        "http://x:99999999",
        "https://exa mple/",
        "http://a..b",
        f"http://{'a' * 64}.example",
    ],
)
def test_an_address_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="is no address such as"):
        Settings(influx_url=given)


@pytest.mark.parametrize("name", ["broker_host", "ingress_host", "hj212_host", "host", "smtp_host"])
@pytest.mark.parametrize("given", ["a..b", "a" * 64 + ".example", "exa mple", "a\nb", "0.0.0.0,a..b"])
def test_a_host_that_cannot_be_looked_up_is_refused(name: str, given: str) -> None:
    with pytest.raises(ValidationError, match="is no name of a host such as"):
        Settings(**{name: given})
    assert getattr(Settings(**{name: "0.0.0.0, ::"}), name) == "0.0.0.0, ::"
