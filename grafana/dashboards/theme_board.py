"""Any theme: newest readings, each parameter against its limits, verdicts."""

from __future__ import annotations

from greenmine.grafana import tables, variables
from greenmine.grafana.board import Board, Json
from greenmine.grafana.edition import Edition, tag_of, unit_of
from greenmine.grafana.panels import curves
from greenmine.grafana.queries import OF_STATION, STATIONS, limit_lines, one_of, readings, series
from greenmine.themes import Theme


def build(edition: Edition, theme: Theme) -> Json:
    """Build the dashboard of a theme, with texts of its own where the catalogue has them."""
    chosen = [
        variables.source(edition),
        variables.enterprise(edition),
        variables.site(edition),
        variables.station(edition, theme.id),
    ]
    texts = theme.id if edition.has_text(f"{theme.id}.about") else "any-theme"
    board = Board(edition, theme.id, chosen, span="now-7d", refresh="5m", title=edition.name(theme), texts=texts)
    key = f"{texts}.{{}}".format
    measured = {c.parameter.id for c in edition.registry.channels}
    shown = [p.id for p in edition.registry.parameters.values() if p.theme == theme.id and p.id in measured]
    board.add(tables.newest(edition, key("latest"), shown), 24, 7)
    board.section(edition.t("section.station", station="${station:text}"), repeat="station")
    for parameter in shown:
        rules = edition.limits(lambda limit, p=parameter: limit.parameter == p)  # type: ignore[misc]
        lines = f"{one_of('limit', [tag_of(r) for r in rules])} AND {STATIONS}"
        low = any(t.low is not None for r in rules for t in r.limit.thresholds)
        high = any(t.high is not None for r in rules for t in r.limit.thresholds)
        about = edition.registry.parameters[parameter]
        board.add(
            curves(
                edition,
                key("curve"),
                [
                    *readings(f"\"parameter\" = '{parameter}' AND {STATIONS}", OF_STATION),
                    *([series(limit_lines("high", lines), "≤ $tag_limit", "U")] if high else []),
                    *([series(limit_lines("low", lines), "≥ $tag_limit", "L")] if low else []),
                ],
                unit=unit_of(about.unit),
                interval="15m",
                gap=edition.gap(parameter),
                limits=rules,
                about={"limits": edition.clauses(rules) or edition.t("limits.none")},
                nothing=edition.t("not-measured-there"),
                title=edition.name(about) if about.symbol == about.name_en else f"{about.symbol} {edition.name(about)}",
            ),
            8,
            9,
            judged=rules,
        )
    board.section(edition.t("section.verdicts"))
    board.add(
        tables.verdicts(edition, key("verdicts"), f"\"theme\" = '{theme.id}'", edition.limits_of(theme.id)), 24, 10
    )
    board.episodes()
    return board.made()
