"""What a person is told: one rule from verdicts to a conclusion."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenmine.processing.summary import conclude, tally
from greenmine.wording.messages import LANGUAGES, texts
from greenmine.wording.words import Words

ENOUGH = 0.9


@dataclass(frozen=True)
class Said:
    judgement: str
    standing: str = "statutory"
    reasons: tuple[str, ...] = ()
    reason: str = "within-limit"


MEETS, EXCEEDS = Said("meets"), Said("exceeds")
MEETS_PERHAPS = Said("meets", "indicative", ("weather-not-shown",))
ABOVE = Said("exceeds", "indicative", ("no-automatic-method",))
OPEN = Said("not assessable", "indicative", ("no-automatic-method",), "too-few-hours")


def told(*rules: list[Said], due: int | None = None):
    (one,) = conclude([tally("dust", "emission", r, len(r) if due is None else due) for r in rules], ENOUGH)
    return one


@pytest.mark.parametrize(
    ("verdicts", "judgement", "standing", "reasons"),
    [
        ([MEETS] * 10, "meets", "statutory", ()),
        ([MEETS] * 9 + [OPEN], "meets", "statutory", ()),
        ([MEETS] * 8 + [OPEN] * 2, "not assessable", "indicative", ("too-few-hours",)),
        ([MEETS] * 9 + [MEETS_PERHAPS], "meets", "indicative", ("weather-not-shown",)),
        ([MEETS] * 999 + [EXCEEDS], "exceeds", "statutory", ()),
        ([MEETS] * 999 + [ABOVE], "exceeds", "indicative", ("no-automatic-method",)),
        ([ABOVE] * 9 + [EXCEEDS], "exceeds", "statutory", ()),
        ([OPEN] * 9 + [ABOVE], "exceeds", "indicative", ("no-automatic-method",)),
        ([OPEN], "not assessable", "indicative", ("too-few-hours",)),
        ([], "not assessable", "indicative", ()),
    ],
)
def test_verdicts_of_one_limit_make_a_conclusion(
    verdicts: list[Said], judgement: str, standing: str, reasons: tuple[str, ...]
) -> None:
    one = told(verdicts)
    assert (one.judgement, one.standing, one.reasons) == (judgement, standing, reasons)


@pytest.mark.parametrize("reason", ["not-working", "no-discharge"])
def test_nights_without_work_do_not_keep_a_mine_from_meeting(reason: str) -> None:
    idle = Said("not assessable", "statutory", (), reason)
    assert told([MEETS] * 3, [idle] * 30).judgement == "meets"
    assert told([MEETS] * 8 + [idle] * 30 + [OPEN] * 2).judgement == "not assessable"
    assert told([idle] * 30).judgement == "not assessable"


def test_windows_without_any_verdict_lack_data() -> None:
    one = told([MEETS] * 8, due=10)
    assert (one.judgement, one.reasons, one.lacking) == ("not assessable", ("no-data",), {"no-data": 2})


def test_a_limit_with_many_windows_does_not_hide_one_with_few() -> None:
    assert told([MEETS] * 1000, [OPEN]).judgement == "not assessable"


def test_a_limit_without_a_window_due_says_nothing() -> None:
    rows = [tally("dust", "quality", verdicts, len(verdicts)) for verdicts in ([MEETS], [])]
    (one,) = conclude(rows, ENOUGH)
    assert (one.judgement, one.rules, one.assessable_share) == ("meets", 1, 1.0)


def test_themes_and_addressees_are_told_apart_and_the_mine_comes_first() -> None:
    rows = [tally(t, a, [MEETS], 1) for t, a in product(("dust", "noise"), ("own", "quality", "emission"))]
    rows.append(tally("dust", "quality", [EXCEEDS], 1))
    found = {(one.theme, one.addressee): one.judgement for one in conclude(rows, ENOUGH)}
    assert list(found) == list(product(("dust", "noise"), ("emission", "quality", "own")))
    assert [key for key, judgement in found.items() if judgement != "meets"] == [("dust", "quality")]


def test_an_exceedance_that_lasts_is_told_with_the_conclusion() -> None:
    (one,) = conclude([tally("dust", "emission", [MEETS], 1, running=2)], ENOUGH)
    assert (one.judgement, one.running) == ("meets", 2)


@given(st.lists(st.lists(st.sampled_from([MEETS, MEETS_PERHAPS, EXCEEDS, ABOVE, OPEN]), max_size=8), min_size=1))
def test_no_exceedance_is_lost_and_no_lack_reads_as_compliance(rules: list[list[Said]]) -> None:
    one = told(*rules)
    every = [v for r in rules for v in r]
    assert (one.judgement == "exceeds") == any(v.judgement == "exceeds" for v in every)
    assert (one.judgement, one.standing) != ("meets", "statutory") or not any(
        v.standing != "statutory" for v in every if v != OPEN
    )
    assert one.judgement != "meets" or any(rules)
    assert one.judgement != "meets" or all(sum(v != OPEN for v in r) >= ENOUGH * len(r) for r in rules)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_indicative_exceedance_never_reads_as_compliance(language) -> None:
    class Shared(Words):
        package = "greenmine.wording"

    words = Shared(language, None)
    above = words.conclusion("exceeds", "indicative")
    assert words.conclusion("meets", "statutory") not in above
    assert len({words.conclusion(j, s) for j in ("meets", "exceeds") for s in ("statutory", "indicative")}) == 4
    assert words.conclusion("not assessable", "indicative") == words.conclusion("not assessable", "statutory")


def test_both_languages_share_the_same_texts() -> None:
    zh, en = (texts("greenmine.wording", language) for language in LANGUAGES)
    assert list(zh) == list(en)
