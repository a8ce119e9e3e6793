"""The page of a mine's acceptance file: stages, approvals, what limits rest on, inspections, instruments, documents."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from fastapi import APIRouter
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import Given
from greenmine.api.pages.page import RecordPageOf
from greenmine.entries import ReferenceResult
from greenmine.limits import threshold_on
from greenmine.processing.calibration import Calibrations
from greenmine.processing.flags import counted
from greenmine.readings import OVER
from greenmine.record.reader import Queries, Scope
from greenmine.registry import DEFAULT, Channel, Site
from greenmine.times import HOUR, local, milliseconds

router = APIRouter()


@router.get("/sites/{site}/file")
def acceptance_file(site: str, _: Given[arguments.PageArguments], page: RecordPageOf) -> Response:
    """Page of a mine's acceptance file."""
    registry = page.registry
    shown = page.site(site)
    today = local(page.instant, shown.zone).date()
    legal = [
        (rule, threshold)
        for rule in registry.site_rules(site)
        if rule.limit.kind == "legal" and (threshold := threshold_on(rule.limit, today)) is not None
    ]
    folder = (page.context.settings.registry or DEFAULT) / "documents" / site
    named = [
        *(one.file for one in shown.stages),
        *(one.file for one in shown.approvals),
        *(one.file for one in shown.inspections),
        *(one.file for one in shown.documents),
    ]
    return page.render(
        "file.html",
        site=shown,
        stages=sorted(shown.stages, key=lambda stage: stage.day),
        approvals=sorted(shown.approvals, key=lambda approval: approval.day),
        limits=legal,
        inspections=sorted(shown.inspections, key=lambda inspection: inspection.day, reverse=True),
        missing={name for name in named if name is not None and not (folder / name).is_file()},
        today=today,
        references=_references(page.queries, page.scope, shown),
    )


class _Compared(NamedTuple):
    """Laboratory's results of a channel, each with the online mean of its hour or None, and the bias of those with one.

    ``bias`` is the mean of online - laboratory over ``compared`` hours [unit of the channel]; None without any.
    """

    channel: Channel
    hours: list[tuple[ReferenceResult, float | None]]
    compared: int
    bias: float | None


def _references(queries: Queries, scope: Scope, site: Site) -> list[_Compared]:
    found: dict[str, list[tuple[ReferenceResult, float | None]]] = {}
    channels = {channel.key: channel for channel in queries.registry.site_channels(site.id)}
    for result in sorted(site.references, key=lambda result: result.start):
        key = f"{site.id}/{result.station}/{result.parameter}"
        found.setdefault(key, []).append((result, _online(queries, scope, channels[key], milliseconds(result.start))))
    compared = []
    for key, hours in found.items():
        apart = [online - result.value for result, online in hours if online is not None]
        compared.append(_Compared(channels[key], hours, len(apart), float(np.mean(apart)) if apart else None))
    return compared


def _online(queries: Queries, scope: Scope, channel: Channel, start: int) -> float | None:
    """Mean of the valid, calibrated readings of an hour; None where too few came, or one was over range: a mean is a bound then."""
    rows = queries.readings(scope, channel.key, start, start + HOUR)
    rows = rows[counted(rows["flag"], rows["quality"])]
    least = queries.registry.conditions.minutes_per_hour / 60
    if len(rows) * channel.interval < least * HOUR or (rows["flag"] == OVER).any():
        return None
    values = rows["value"].astype(np.float64)
    calibrations = Calibrations(queries.registry)
    return float(calibrations.applied(np.full(len(rows), channel.index), rows["time"], values).mean())
