"""InfluxDB's line protocol: texts that cannot be mistaken for anything else, and no number that is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from greenmine.grafana.influx.influx_schema import Measurement

LONGEST: Final = 16_000
"""Characters of a text that are sent; InfluxDB takes 64 kB, and a character has at most four bytes."""

_FORMS: Final = {"float": "%s", "integer": "%di", "string": "%s"}
_TAG: Final = str.maketrans({" ": "\\ ", ",": "\\,", "=": "\\=", "\\": "_", "\n": "_", "\r": "_"})
_TEXT: Final = str.maketrans({'"': '\\"', "\\": "\\\\"})


def series(measurement: str, tags: Iterable[tuple[str, str | None]]) -> str:
    """Beginning of the lines of a series: measurement and tags, up to where the fields begin.

    Tags without a value are left out. Backslashes and line breaks, which no identifier has and the protocol cannot carry in a
    tag, become underscores.
    """
    return ",".join([measurement, *(f"{name}={_tag(value)}" for name, value in tags if value)]) + " "


@lru_cache(maxsize=65_536)
def _tag(value: str) -> str:
    return value.translate(_TAG)


def text(value: str) -> str:
    """A text as the value of a field, cut to `LONGEST`."""
    return f'"{value[:LONGEST].translate(_TEXT)}"'


class Encoder:
    """Makes lines of one measurement from values in the order of its fields.

    Parameters
    ----------
    measurement : Measurement
        Names and kinds of the fields.
    """

    def __init__(self, measurement: Measurement) -> None:
        self.measurement = measurement
        self._tags = [tag.name for tag in measurement.tags]
        self._all_tags = ",".join([measurement.name, *(f"{name}=%s" for name in self._tags)]) + " "
        self._fields = [f"{field.name}={_FORMS[field.kind]}" for field in measurement.fields]
        self._templates: dict[tuple[bool, ...], str] = {}

    def series(self, *values: str | None) -> str:
        """Beginning of the lines of a series, from the values of its tags in the measurement's order."""
        given = [_tag(value) for value in values if value]
        if len(given) == len(self._tags):
            return self._all_tags % tuple(given)
        return series(self.measurement.name, zip(self._tags, values, strict=True))

    def fields(self, values: Sequence[Any]) -> str:
        """The fields; None, NaN and infinities are left out. Empty if nothing is left."""
        given = tuple([value is not None for value in values])
        template = self._templates.get(given)
        if template is None:
            parts = [form for form, is_given in zip(self._fields, given, strict=True) if is_given]
            template = self._templates[given] = ",".join(parts)
        fields = template % tuple([text(v) if isinstance(v, str) else v for v in values if v is not None])
        if "nan" in fields or "inf" in fields:
            finite = [None if isinstance(v, float) and not math.isfinite(v) else v for v in values]
            if finite.count(None) > given.count(False):
                return self.fields(finite)
        return fields

    def line(self, beginning: str, values: Sequence[Any], time: int) -> str:
        """One line; empty if there is no field to send."""
        fields = self.fields(values)
        return f"{beginning}{fields} {time}" if fields else ""
