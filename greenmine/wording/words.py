"""Names, numbers and texts in one language: the base of what pages, reports, dashboards and notices say."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Final

from greenmine.clauses import in_language
from greenmine.limits import Limit
from greenmine.parameters import Parameter
from greenmine.registry import Registry, Site
from greenmine.rounding import round_half_even, told
from greenmine.wording.messages import Language, texts
from greenmine.wording.sentences import chinese_sentence
from greenmine.wording.unit_signs import sign

NOTHING: Final = "—"
VERDICT_SIGNS: Final = {"meets": "✓", "exceeds": "▲", "not assessable": "?", "none": "–"}
"""A verdict is told by sign and word, never by colour alone."""
_POINTS: Final = ("n", "nne", "ne", "ene", "e", "ese", "se", "sse", "s", "ssw", "sw", "wsw", "w", "wnw", "nw", "nnw")
"""Points of the compass, clockwise from north."""
_SHARED: Final = "greenmine.wording"
"""Package with the words that all packages share."""
_DETAIL: Final = re.compile(r"([\d.e+-]*) ?(.*)", re.DOTALL)
_SCALE: Final = re.compile(r"(\d+(?:\.\d+)?) ?万吨/年")


@dataclass(frozen=True)
class Words:
    """Words of one language for the things of one registry."""

    package: ClassVar[str]
    """Package whose message catalogue has the texts."""

    language: Language
    registry: Registry

    @property
    def _texts(self) -> Mapping[str, str]:
        return texts(self.package, self.language)

    def t(self, key: str, /, **values: object) -> str:
        """Return the text of a key with its placeholders filled.

        Raises
        ------
        KeyError
            If there is none, or if it needs a value that was not given.
        """
        return self._texts[key].format(**values)

    def has_text(self, key: str) -> bool:
        """Return whether the message catalogue has a key."""
        return key in self._texts

    def known(self, key: str, otherwise: str) -> str:
        """Return the text of a key, or this."""
        return self._texts.get(key, otherwise)

    def shared(self, section: str) -> Mapping[str, str]:
        """Return the words of a section that all packages share, by code: ``reason``, ``rejection``, ``health-detail``."""
        found = texts(_SHARED, self.language)
        return {key.removeprefix(f"{section}."): text for key, text in found.items() if key.startswith(f"{section}.")}

    def verdict_reason(self, code: str) -> str:
        """Return why a verdict is what it is; the code where there is no word."""
        return self.shared("reason").get(code, code)

    def rejection(self, code: str) -> str:
        """Return why a reading was rejected; the code where there is no word."""
        return self.shared("rejection").get(code, code)

    def sentence(self, told: str) -> str:
        """Return a refusal or a note in the language; what the catalogue of sentences does not have as it is."""
        return (chinese_sentence(told) or told) if self.language == "zh" else told

    def health_detail(self, detail: str) -> str:
        """Return why a channel is in its state; what the catalogue does not know as it is."""
        number, text = _DETAIL.fullmatch(detail).groups()  # type: ignore[union-attr]
        found = self.shared("health-detail").get(text.replace(" ", "-"))
        return detail if found is None else found.format(n=number)

    def point(self, direction: float) -> str:
        """Return the point of the compass of a direction [deg]."""
        return self.t(f"compass.{_POINTS[round(direction / 22.5) % 16]}")

    def name(self, thing: Any) -> str:
        """Return the name of a thing that has a Chinese and an English one."""
        return str(thing.name_zh if self.language == "zh" else thing.name_en)

    def short_name(self, site: Site) -> str:
        """Return the name of a mine for lists, legends and maps."""
        return (site.short_name_zh if self.language == "zh" else site.short_name_en) or self.name(site)

    def theme(self, theme: str) -> str:
        """Return the name of a theme."""
        return self.name(self.registry.themes[theme])

    def unit(self, unit: str) -> str:
        """Return the sign of a unit."""
        return sign(unit)

    def number(self, value: float | None, decimals: int = 0) -> str:
        """Return a number with a true minus sign; a dash for none."""
        if value is None or value != value:  # noqa: PLR0124 - NaN
            return NOTHING
        return NOTHING if math.isinf(value) else f"{round_half_even(value, decimals)}".replace("-", "−")

    def figure(self, value: float | None, parameter: Parameter, *bounds: float | None) -> str:
        """Return a figure as it is told: `Parameter.places`, more where it would else change its side of a bound."""
        if value is None or not math.isfinite(value):
            return NOTHING
        return f"{told(value, parameter.places(value), bounds):f}".replace("-", "−")

    def compared(
        self, limit: Limit, value: float | None, judged: str | None, low: float | None, high: float | None
    ) -> str:
        """Return the figure of a verdict: as it was rounded for the comparison; where it was not, as figures are told.

        Parameters
        ----------
        limit : Limit
        value : float or None
            The statistic.
        judged : str or None
            What was compared, as a verdict has it.
        low, high : float or None
            What it was compared with.
        """
        parameter = self.registry.parameters[limit.parameter]
        if judged is not None and limit.rounding.compare != "full":
            rounded = Decimal(judged)
            if rounded.quantize(Decimal(1).scaleb(-limit.rounding.digits)) == rounded:
                return judged.replace("-", "−")
        return self.figure(float(judged) if judged is not None else value, parameter, low, high)

    def plain(self, value: float | None) -> str:
        """Return a number as short as it goes, such as a limit."""
        return NOTHING if value is None else f"{value:g}".replace("-", "−")

    def percent(self, share: float) -> str:
        """Return a share of 1 in per cent; not zero is never told as zero, not all never as all."""
        if 0 < share < 0.0005:
            return "< 0.1"
        if 0.9995 <= share < 1:
            return "> 99.9"
        return self.number(100 * share, 1 if 0 < share < 1 else 0)

    def conclusion_sign(self, judgement: str, standing: str) -> str:
        """Return the sign of a conclusion; the sign of compliance only where it is statutory."""
        return "○" if (judgement, standing) == ("meets", "indicative") else VERDICT_SIGNS[judgement]

    def conclusion(self, judgement: str, standing: str) -> str:
        """Return what a person is told of a judgement with a standing."""
        assessed = "" if judgement == "not assessable" else f"-{standing}"
        return self.t(f"conclusion.{judgement.replace(' ', '-')}{assessed}")

    def confidence(self, confidence: str) -> str:
        """How far a number of the law may be relied on."""
        return self.known(f"confidence.{confidence.replace(': ', '-').replace(' ', '-')}", confidence)

    def change(self, change: str) -> str:
        """Return why a form of a verdict was issued; what stands behind the colon is as it is in the record."""
        kind, colon, rest = change.partition(": ")
        return self.known(f"change.{kind.replace(' ', '-')}", kind) + colon + rest

    def cited(self, text: str) -> str:
        """Return a clause or source of the catalogue, in the language."""
        return in_language(text, self.language)

    def standard(self, standard: str) -> str:
        """Return the title of a standard; nothing where it is not known."""
        return self.known(f"standard.{standard}", "")

    def scale(self, scale: str) -> str:
        """Return an output a year; English does not count in ten thousands."""
        match = _SCALE.fullmatch(scale)
        return f"{float(match[1]) * 10_000:,.0f} t/a" if match and self.language == "en" else scale
