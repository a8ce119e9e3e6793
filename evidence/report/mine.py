"""The mine, its stations and its instruments."""

from __future__ import annotations

import math

from greenmine.evidence.charts import Place, site_map
from greenmine.evidence.report.blocks import Block, Chart, Charts, Column, Facts, Heading, Paragraph, Table
from greenmine.evidence.report.content import Content
from greenmine.processing.wind import DEGREE
from greenmine.registry import Position
from greenmine.wording.words import NOTHING


def mine(content: Content) -> list[Block]:
    """What stands where, drawn from the coordinates of the registry, and how it is calibrated."""
    w, site = content.words, content.site
    facts = [
        (w.t("mine.product"), str(site.product_zh if content.language == "zh" else site.product_en)),
        (w.t("mine.scale"), w.scale(site.scale)),
        (w.t("mine.batch"), w.t("mine.batch-of", batch=site.batch, years=site.batch_years)),
        (w.t("mine.position"), _position(site.position)),
        (w.t("mine.source"), site.source),
    ]
    blocks: list[Block] = [Heading(text=w.t("mine.heading")), Facts(rows=facts)]
    if w.note(site):
        blocks.append(Paragraph(text=w.note(site), small=True))
    return [*blocks, _map(content), _stations(content), _instruments(content), *_calibrations(content)]


def _map(content: Content) -> Charts:
    w, middle = content.words, content.site.position
    places = [Place(w.t("mine.pit"), w.t("mine.pit"), 0.0, 0.0)]
    for number, station in enumerate(content.site.stations, start=1):
        north = (station.position.latitude - middle.latitude) * DEGREE
        east = (station.position.longitude - middle.longitude) * DEGREE * math.cos(math.radians(middle.latitude))
        places.append(Place(str(number), w.t(f"role.{station.role}"), round(east, 1), round(north, 1)))
    caption = w.t("mine.map")
    return Charts(charts=[Chart(caption=caption, spec=site_map(places, title=caption, north=w.t("mine.north")))])


def _stations(content: Content) -> Table:
    w = content.words
    rows = [
        [
            str(number),
            w.name(station),
            w.t(f"role.{station.role}"),
            _position(station.position),
            w.number(station.position.height, 1),
            station.noise_class or NOTHING,
            str(len(station.limits)),
        ]
        for number, station in enumerate(content.site.stations, start=1)
    ]
    heads = {"number": 0, "station": 3, "role": 2, "position": 0, "height": 0, "noise-class": 0, "limits": 0}
    right = {"height", "limits"}
    columns = [Column(w.t(f"column.{head}"), "right" if head in right else "left", n) for head, n in heads.items()]
    return Table(caption=w.t("mine.stations"), columns=columns, rows=rows)


def _instruments(content: Content) -> Table:
    w, registry = content.words, content.registry
    rows = [
        [
            device.id,
            w.name(registry.station(content.site.id, device.station)),
            " ".join(registry.parameters[parameter].symbol for parameter in device.parameters),
            registry.profiles[device.profile].interval,
            device.model or NOTHING,
            device.serial or NOTHING,
        ]
        for device in content.site.devices
    ]
    heads = {"device": 3, "station": 3, "measures": 4, "interval": 0, "model": 2, "serial": 2}
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    return Table(caption=w.t("mine.instruments"), columns=columns, rows=rows)


def _calibrations(content: Content) -> list[Block]:
    w = content.words
    if not content.site.calibrations:
        return [Paragraph(text=w.t("mine.no-calibrations"))]
    rows = []
    for calibration in content.site.calibrations:
        station = content.registry.station(content.site.id, calibration.station)
        rows.append(
            [
                w.name(station),
                content.registry.parameters[calibration.parameter].symbol,
                w.moment(calibration.valid_from.isoformat()),
                w.t("mine.curve", slope=w.plain(calibration.slope), offset=w.plain(calibration.offset)),
                " ".join(filter(None, (calibration.certificate, calibration.note))),
            ]
        )
    heads = {"station": 2, "parameter": 0, "since": 0, "curve": 0, "certificate": 4}
    columns = [Column(w.t(f"column.{head}"), share=share) for head, share in heads.items()]
    return [Table(caption=w.t("mine.calibrations"), columns=columns, rows=rows)]


def _position(position: Position) -> str:
    return f"{position.latitude:.4f}, {position.longitude:.4f}"
