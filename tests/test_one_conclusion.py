"""One rule for what a person is told: pages, notices, reports and ``judge`` say the same of a judgement and its standing."""

from __future__ import annotations

import pytest

from greenmine.api.pages.wording import Wording
from greenmine.evidence.report.words import ReportWords
from greenmine.loading import load_registry
from greenmine.notify.wording import NoticeWords
from greenmine.registry import Registry
from greenmine.wording.messages import Language

SITUATIONS = [
    (judgement, standing, language)
    for judgement in ("meets", "exceeds", "not assessable")
    for standing in ("statutory", "indicative")
    for language in ("zh", "en")
]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


@pytest.mark.parametrize(("judgement", "standing", "language"), SITUATIONS)
def test_pages_notices_and_reports_say_the_same(
    judgement: str, standing: str, language: Language, registry: Registry
) -> None:
    kinds = (Wording(language, registry), ReportWords(language, registry), NoticeWords(language, registry, ""))
    assert len({w.conclusion(judgement, standing) for w in kinds}) == 1
    assert len({w.conclusion_sign(judgement, standing) for w in kinds}) == 1


@pytest.mark.parametrize(
    ("language", "asked", "never"), [("zh", "须经手工监测确认", "达标"), ("en", "to be confirmed", "meets")]
)
def test_an_indicative_exceedance_asks_for_a_measurement_and_never_reads_as_compliance(
    language: Language, asked: str, never: str, registry: Registry
) -> None:
    told = Wording(language, registry).conclusion("exceeds", "indicative")
    assert asked in told
    assert never not in told
    assert Wording(language, registry).conclusion_sign("exceeds", "indicative") != "✓"
