"""Subjects of NATS and topics of MQTT: what a topic is called in the log, and back."""

from __future__ import annotations

import re
from typing import Final

LOG: Final = "$MQTT.msgs."
"""What nats-server puts before the subject of a message of MQTT that it stores."""
_APART: Final = re.compile(r"//|/\.|\.|/")
_TOPIC: Final = {"//": ".", "/.": "/", ".": "/", "/": ""}
"""By nats-server's own rule: a level ends with a full stop, a full stop is two strokes, and an empty level leaves a stroke."""


def topic_of(subject: str) -> str:
    """Return the topic of a subject of the log; of any other subject an empty text."""
    if not subject.startswith(LOG):
        return ""
    return _APART.sub(lambda found: _TOPIC[found[0]], subject[len(LOG) :])


def subject_of(topic: str) -> str:
    """Return the subject of a topic or a filter of MQTT, as permissions name it.

    Raises
    ------
    ValueError
        The topic has an empty level or white space, of which nats-server takes none or not reliably.
    """
    levels = topic.split("/")
    if not all(levels) or any(map(str.isspace, topic)):
        raise ValueError(f"'{topic}' has an empty level or a space; nats-server takes neither")
    wild = {"+": "*", "#": ">"}
    return ".".join(wild.get(level, level.replace(".", "//")) for level in levels)
