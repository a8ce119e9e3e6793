"""What readings and documents prove of the items that a mine is asked for, and of the indicators of green-mine evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

from greenmine.evidence.evaluation import Evaluation
from greenmine.evidence.figures import FiguresDocument
from greenmine.evidence.sections import (
    DocumentFigures,
    IndicatorFigures,
    IndicatorSetFigures,
    ProofFigures,
    ProofResult,
    RequirementFigures,
)
from greenmine.registry import Site
from greenmine.reporting import Reporting

DOCUMENTS: Final = "documents"

_GOOD: Final = {"meets", "shown"}


class Proofs:
    """What the figures of a period prove.

    Parameters
    ----------
    figures : FiguresDocument
        With the effects of measures.
    reporting : Reporting
        Says how much data is enough.
    """

    def __init__(self, figures: FiguresDocument, reporting: Reporting) -> None:
        # What the enterprise answers for decides; without a limit of that kind nothing is proved.
        self._themes: dict[str, ProofResult] = {
            summary.theme: summary.judgement for summary in figures.summary if summary.addressee == "emission"
        }
        self._capture = ProofFigures("capture", *_capture(figures, reporting.summary.assessable_share))
        self._effect = ProofFigures("effect", *_effect(figures))

    def of(self, kinds: Iterable[str]) -> list[ProofFigures]:
        """Proofs of these kinds."""
        single = {"capture": self._capture, "effect": self._effect}
        return [
            single.get(kind) or ProofFigures(kind, self._themes.get(kind, "not assessable"), None) for kind in kinds
        ]


def requirements(site: Site, evaluation: Evaluation, proofs: Proofs, documents: Path) -> list[RequirementFigures]:
    """The items that the mine is asked for, in the order of its list.

    Parameters
    ----------
    site : Site
        Its items and documents.
    evaluation : Evaluation
        What readings prove of which item.
    proofs : Proofs
        Of the period.
    documents : Path
        Folder of the documents.
    """
    found = []
    for item in site.requirement_items:
        known = evaluation.requirement(item)
        shown = proofs.of(known.proof)
        files = [
            DocumentFigures(d.file, d.title_zh, d.title_en, *_measured(documents / d.file))
            for d in site.documents
            if d.item == item
        ]
        found.append(
            RequirementFigures(
                item=item,
                name_en=known.name_en,
                text_zh=known.text_zh,
                text_en=known.text_en,
                supporting=known.supporting,
                result=_result([] if known.supporting else shown, files),
                proofs=shown,
                documents=files,
            )
        )
    return found


def indicators(evaluation: Evaluation, proofs: Proofs) -> list[IndicatorSetFigures]:
    """The indicator sets of the catalogue, with what readings prove of each group."""
    return [
        IndicatorSetFigures(
            id=edition.id,
            name_zh=edition.name_zh,
            name_en=edition.name_en,
            edition=edition.edition,
            valid_from=None if edition.valid_from is None else edition.valid_from.isoformat(),
            points=edition.points,
            pass_points=edition.pass_points,
            pass_group_share=edition.pass_group_share,
            source=edition.source,
            confidence=edition.confidence,
            groups=[
                IndicatorFigures(group.code, group.name_zh, group.name_en, group.points, proofs.of(group.proof))
                for group in edition.groups
            ],
        )
        for edition in evaluation.indicator_sets
    ]


def _result(
    proofs: list[ProofFigures], documents: list[DocumentFigures]
) -> Literal["shown", "exceeds", "not assessable", "documents", "open"]:
    results = {proof.result for proof in proofs}
    if "exceeds" in results:
        return "exceeds"
    if results:
        return "shown" if results <= _GOOD else "not assessable"
    return "documents" if any(document.sha256 is not None for document in documents) else "open"


def _capture(figures: FiguresDocument, enough: float) -> tuple[ProofResult, float | None]:
    """The least capture of all channels."""
    least = min((channel.capture for channel in figures.channels), default=None)
    return ("shown" if least is not None and least >= enough else "not shown"), least


def _effect(figures: FiguresDocument) -> tuple[ProofResult, float | None]:
    """An effect is shown if the interval of a measure lies below 1; a comparison open to bias shows none."""
    known = [e for e in figures.effects if e.remaining is not None and e.high is not None and not e.open_to_bias]
    if not known:
        return "not assessable", None
    best = min(known, key=lambda e: (e.high, e.measure))
    assert best.high is not None
    return ("shown" if best.high < 1 else "not shown"), best.remaining


def _measured(path: Path) -> tuple[int | None, str | None]:
    """Size and SHA-256 of a file; None if it is missing."""
    try:
        content = path.read_bytes()
    except OSError:
        return None, None
    return len(content), hashlib.sha256(content).hexdigest()
