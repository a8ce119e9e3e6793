"""The report as PDF/A-3: laid out by typst, with ``figures.json`` inside, the same bytes for the same content."""

from __future__ import annotations

import calendar
import tempfile
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import msgspec
import typst

from greenmine.evidence.report.content import Content
from greenmine.evidence.report.drawing import drawn
from greenmine.evidence.report.font import Font
from greenmine.evidence.report.outline import report

EMBEDDED: Final = "figures.json"
"""Name of the attachment."""

_STANDARD: Final = "a-3a"
_TEMPLATE: Final = "report.typ"


def pdf(content: Content, figures: bytes) -> bytes:
    """The report.

    Parameters
    ----------
    content : Content
        What it tells of.
    figures : bytes
        ``figures.json``, which is attached.

    Raises
    ------
    FontMissingError
        If there is no font for it.
    """
    return laid_out(_document(content), figures, _stamp(content))


def laid_out(written: dict[str, Any], attached: bytes, stamp: int) -> bytes:
    """Lay out a document of blocks, with a file inside.

    Parameters
    ----------
    written : dict
        Texts of the pages, the name of the attachment, and the blocks as plain values.
    attached : bytes
        The attachment, JSON.
    stamp : int
        Time of its making that it states [s since 1970].

    Raises
    ------
    FontMissingError
        If there is no font for it.
    """
    font = Font.find()
    document = font.covered(written | {"font": font.family})
    charts = [chart for block in document["blocks"] if block["kind"] == "charts" for chart in block["charts"]]
    for chart, svg in zip(charts, drawn([chart.pop("spec") for chart in charts], font.family), strict=True):
        chart["svg"] = svg
    with tempfile.TemporaryDirectory(prefix="greenmine-report-") as name:
        folder = Path(name)
        (folder / _TEMPLATE).write_bytes(files(__package__).joinpath(_TEMPLATE).read_bytes())
        (folder / "report.json").write_bytes(msgspec.json.encode(document))
        (folder / document["attachment"]).write_bytes(attached)
        compiler = typst.Compiler(folder / _TEMPLATE, root=folder, font_paths=font.fonts)
        made = compiler.compile(format="pdf", pdf_standards=[_STANDARD], timestamp=stamp)
    assert isinstance(made, bytes)
    return made


def makers() -> dict[str, str]:
    """What a report's bytes depend on besides its content."""
    return {
        "font": Font.find().digest,
        "typst": version("typst"),
        "vl-convert-python": version("vl-convert-python"),
        "xlsxwriter": version("xlsxwriter"),
    }


def _document(content: Content) -> dict[str, Any]:
    w = content.words
    mine, figures = w.name(content.site), content.figures
    return {
        "language": content.language,
        "title": f"{w.t('opening.title')} · {mine} · {figures.period}",
        "author": mine,
        "footer": w.t("page.footer", mine=mine, period=figures.period),
        "page": w.t("page.of", page="{page}", pages="{pages}"),
        "date": [int(part) for part in figures.last.split("-")],
        "attachment": EMBEDDED,
        "blocks": msgspec.to_builtins(report(content)),
    }


def _stamp(content: Content) -> int:
    """The end of the period [s since 1970]: the clock of whoever builds is no part of a report."""
    return calendar.timegm(content.words.calendar(content.figures.last).timetuple())
