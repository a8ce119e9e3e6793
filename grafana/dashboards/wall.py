"""A screen on a wall: to be read from across the room, and nothing to click."""

from __future__ import annotations

from greenmine.grafana import tables, variables
from greenmine.grafana.board import Board, Json
from greenmine.grafana.dashboards.overview import mines, site_map, state_figures
from greenmine.grafana.edition import Edition
from greenmine.grafana.panels import AMBER, CLOCK, RED, Column, grid, mapping
from greenmine.grafana.queries import LEGAL, SITES, table, until


def build(edition: Edition) -> Json:
    """Build the dashboard."""
    chosen = [variables.source(edition), variables.enterprise(edition), variables.site(edition)]
    board = Board(edition, "wall", chosen, span="now-24h", refresh="30s")
    widths = {"exceeding": 5, "above": 5, "open": 5, "open-indicative": 5, "silent": 4}
    for panel, width in zip(state_figures(edition, widths, size=72), widths.values(), strict=True):
        board.add(panel, width, 6)
    board.add(mines(edition, "wall.mines", brief=True), 17, 12)
    board.add(site_map(edition, "overview.map"), 7, 12)
    board.add(_lasting(edition, "wall.lasting"), 24, 9)
    return board.made()


def _lasting(edition: Edition, key: str) -> Json:
    query = (
        f'SELECT "start", "told", "threshold", "minutes", "finding" FROM "exceedance" WHERE {until(90)} AND {LEGAL}'
        f' AND "open" = 1 AND {SITES} GROUP BY "site", "station", "limit"'
    )
    told = {
        "4": (edition.conclusion("exceeds", "statutory"), RED),
        "3": (edition.conclusion("exceeds", "indicative"), AMBER),
    }
    return grid(
        edition,
        key,
        [table(query)],
        [
            tables.site(edition, wrapped=True, width=95),
            tables.station(edition, wrapped=True, width=95),
            tables.limit(edition),
            Column(
                source="finding", title=edition.t("column.conclusion"), words=mapping(told), colored=True,
                wrapped=True,
            ),
            Column(source="told", title=edition.t("column.peak"), right=True, width=75),
            Column(source="threshold", title=edition.t("column.threshold"), width=75),
            Column(source="minutes", title=edition.t("column.minutes"), width=75),
            Column(source="start", title=edition.t("column.start"), unit=CLOCK, width=130),
            Column(source="Time"),
        ],
        sort=(edition.t("column.start"), True),
    )  # fmt: skip
