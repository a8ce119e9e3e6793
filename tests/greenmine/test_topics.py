from __future__ import annotations

import pytest

from greenmine.topics import OWN, TopicError, TopicPattern, covers, overlap


@pytest.mark.parametrize(
    ("pattern", "topic", "said"),
    [
        ("tele/{address}/SENSOR", "tele/node/SENSOR", ("node",)),
        ("tele/{address}/SENSOR", "tele/node/STATE", None),
        ("tele/{address}/SENSOR", "tele/a/b/SENSOR", None),
        ("tele/{address}/SENSOR", "tele//SENSOR", None),
        ("v1.1/Datastreams({name})/Observations", "v1.1/Datastreams(17)/Observations", ("17",)),
        ("v1.1/Datastreams({name})/Observations", "v1x1/Datastreams(17)/Observations", None),
        ("+/{address}/up", "/x/up", ("x",)),
        ("{address}/#", "x", ("x",)),
        ("{address}/#", "x/y/z", ("x",)),
        ("fixed", "fixed", ()),
        ("line\n/{name}", "line\n/a\nb", ("a\nb",)),
        (OWN, "greenmine/v1/pit/gate/readings", ("pit", "gate")),
    ],
)
def test_a_pattern_says_what_a_topic_names(pattern: str, topic: str, said: tuple[str, ...] | None) -> None:
    assert TopicPattern(pattern).match(topic) == said


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        ("", "not empty"),
        ("x" * 65_536, "65535"),
        ("a\0b", "NUL"),
        ("#", "every topic"),
        ("a/#/b", "at the end"),
        ("a+/b", "whole level"),
        ("{who}/b", "stands for nothing"),
        ("{name}/{name}", "twice"),
        ("{site}/b", "goes with {device}"),
        ("{device}/b", "goes with {site}"),
        ("{address/b", "not closed"),
        ("{address}{name}/b", "touch"),
        ("$SYS/broker", "broker's own"),
        ("$share/group/topic", "broker's own"),
    ],
)
def test_what_is_no_pattern_is_told(pattern: str, wrong: str) -> None:
    with pytest.raises(TopicError, match=wrong):
        TopicPattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "known", "subscribed"),
    [
        ("tele/{address}/SENSOR", {}, "tele/+/SENSOR"),
        ("{address}/sensor/{name}/state", {"name": "pm_10"}, "+/sensor/pm_10/state"),
        ("v1.1/Datastreams({name})/Observations", {"name": "1"}, "v1.1/Datastreams(1)/Observations"),
        ("v1.1/Datastreams({name})/Observations", {}, "v1.1/+/Observations"),
        ("a/{address}-{name}/#", {"name": "x"}, "a/+/#"),
    ],
)
def test_a_filter_writes_out_what_is_known(pattern: str, known: dict[str, str], subscribed: str) -> None:
    assert TopicPattern(pattern).filter(known) == subscribed


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+", "a/c", True),
        ("a/+", "+/c", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "b/#", False),
        ("a/+/#", "a", False),
        ("+/b/+", "a/b", False),
    ],
)
def test_filters_overlap_where_a_topic_belongs_to_both(one: str, other: str, common: bool) -> None:
    assert overlap(one, other) is common
    assert overlap(other, one) is common


@pytest.mark.parametrize(
    ("one", "other", "all_of_it"),
    [
        ("a/+", "a/b", True),
        ("a/b", "a/+", False),
        ("a/+", "a/#", False),
        ("a/#", "a/+/#", True),
        ("a/#", "a", True),
        ("a/+", "a", False),
        ("a", "a/+", False),
        ("+/b", "a/+", False),
    ],
)
def test_a_filter_covers_another_where_it_takes_all_its_topics(one: str, other: str, all_of_it: bool) -> None:
    assert covers(one, other) is all_of_it
