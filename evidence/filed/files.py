"""A filed report as a file; what lays it out is loaded only when it is asked for, as it takes memory."""

from __future__ import annotations

from typing import Final, Literal, get_args

from greenmine.evidence.filed.content import FiledReport

FileForm = Literal["xlsx", "pdf", "docx"]
FORMS: Final[tuple[FileForm, ...]] = get_args(FileForm)


def written(report: FiledReport, form: FileForm) -> bytes:
    """Return a report as a file.

    Raises
    ------
    FontMissingError
        A PDF is asked for, and there is no font for it.
    """
    if form == "xlsx":
        from greenmine.evidence.filed.workbook import workbook  # noqa: PLC0415 - takes memory, and reports are seldom asked for

        return workbook(report)
    from greenmine.evidence.filed import paper  # noqa: PLC0415 - likewise

    return paper.pdf(report) if form == "pdf" else paper.word(report)
