"""Charts as SVG, in black and grey for paper."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

WIDTH: Final = 560
"""Of charts that take the width of their container [px]."""

_INK: Final = "#000000"
_QUIET: Final = "#444444"
_LINE: Final = "#cccccc"
_PAPER: Final = "#ffffff"

_DRAW: Final = """\
import json, sys, vl_convert
specs = json.load(sys.stdin.buffer)
sys.stdout.buffer.write(json.dumps([vl_convert.vegalite_to_svg(spec) for spec in specs]).encode())
"""


def drawn(specs: Sequence[dict[str, Any]], font: str) -> list[str]:
    """Charts as SVG.

    They are drawn in a process of its own, whose clock is UTC: the JavaScript engine takes memory that it never returns, and a
    machine's zone with summer time would move the points of wall-clock time.

    Parameters
    ----------
    specs : sequence of dict
        Vega-Lite specifications of `greenmine.evidence.charts`.
    font : str
        Family of all text.

    Raises
    ------
    ValueError
        If that process ends before it has drawn them, as one that is short of memory does.
    """
    encoded = [msgspec.json.encode(_on_paper(spec, font), order="sorted") for spec in specs]
    return list(_drawn(tuple(encoded)))


@lru_cache(maxsize=4)
def _drawn(specs: tuple[bytes, ...]) -> tuple[str, ...]:
    """Kept, as a bundle is often verified where it was built."""
    made = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", _DRAW],
        input=b"[" + b",".join(specs) + b"]",
        stdout=subprocess.PIPE,
        check=False,
        env=os.environ | {"TZ": "UTC"},
    )
    if made.returncode:
        raise ValueError(f"the charts cannot be drawn: their process ended with status {made.returncode}")
    return msgspec.json.decode(made.stdout, type=tuple[str, ...])


def _on_paper(spec: dict[str, Any], font: str) -> dict[str, Any]:
    width = WIDTH if spec["width"] == "container" else spec["width"]
    return {**spec, "width": width, "config": _config(font)}


def _config(font: str) -> dict[str, Any]:
    text = {
        "labelColor": _QUIET,
        "titleColor": _QUIET,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    }
    halo = {"fontSize": 11, "color": _PAPER, "stroke": _PAPER, "strokeWidth": 4, "strokeJoin": "round"}
    label = {"fontSize": 11, "color": _INK}
    return {
        "background": "transparent",
        "font": font,
        "view": {"stroke": None},
        "axis": {**text, "gridColor": _LINE, "domainColor": _QUIET, "tickColor": _QUIET, "format": "~f"},
        "axisX": {"grid": False},
        "axisY": {"domain": False, "ticks": False, "tickCount": 5},
        "legend": {**text, "symbolType": "stroke", "symbolSize": 180, "symbolStrokeWidth": 1.5, "labelLimit": 260},
        "range": {"category": [_INK, "#777777", _INK, "#777777", _INK, "#777777"]},
        "rule": {"color": _INK},
        "line": {"point": {"filled": True, "size": 7}},
        "style": {
            "series": {"strokeWidth": 1.3},
            "note": {"fill": _LINE, "opacity": 0.5},
            "limit": {"strokeWidth": 1.1, "strokeDash": [5, 3]},
            "limit-halo": halo,
            "limit-label": label,
            "place": {"filled": False, "color": _INK, "strokeWidth": 1.5},
            "place-halo": halo,
            "place-label": label,
            "ring": {"filled": False, "color": "#aaaaaa", "strokeWidth": 0.8},
            "rose": {"color": "#999999", "stroke": _INK, "strokeWidth": 0.6},
            "ring-halo": halo,
            "ring-label": {"fontSize": 10, "color": _INK},
            "compass": {"fontSize": 12, "color": _INK},
        },
    }
