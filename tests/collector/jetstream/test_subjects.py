"""Subjects of NATS and topics of MQTT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.collector.jetstream.connection import addresses
from greenmine.collector.jetstream.subjects import LOG, subject_of, topic_of
from greenmine.settings import Settings

LEVEL = st.text(st.sampled_from("ab.-_矿"), min_size=1)


@pytest.mark.parametrize(
    ("topic", "subject"),
    [
        ("greenmine/v1/pit/gate/readings", "greenmine.v1.pit.gate.readings"),
        ("tele/dust.1/SENSOR", "tele.dust//1.SENSOR"),
        ("a./b", "a//.b"),
    ],
)
def test_a_topic_is_a_subject_by_the_rule_of_nats_server(topic: str, subject: str) -> None:
    assert subject_of(topic) == subject
    assert topic_of(LOG + subject) == topic


def test_wildcards_of_filters_become_those_of_nats() -> None:
    assert subject_of("tele/+/#") == "tele.*.>"


@given(st.lists(LEVEL, min_size=1))
def test_a_topic_comes_back_from_its_subject(levels: list[str]) -> None:
    topic = "/".join(levels)
    assert topic_of(LOG + subject_of(topic)) == topic


@pytest.mark.parametrize("topic", ["/begins", "ends/", "a//b", "with space"])
def test_what_nats_server_does_not_take_is_no_subject(topic: str) -> None:
    with pytest.raises(ValueError, match="nats-server takes neither"):
        subject_of(topic)


@pytest.mark.parametrize(
    ("subject", "topic"), [("$MQTT.msgs./.begins", "/begins"), ("$MQTT.msgs.a./.b", "a//b"), ("other", "")]
)
def test_topics_with_empty_levels_and_other_subjects_are_read(subject: str, topic: str) -> None:
    assert topic_of(subject) == topic


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("10.0.0.1:4222", "write such as nats://"),
        ("nats://a:4222,http://b", "names 'http://b'"),
        ("", "write such as"),
        ("nats://collector:secret@a:4222", "holds a password"),
    ],
)
def test_addresses_that_cannot_be_are_refused(given: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        addresses(Settings(jetstream=given))
