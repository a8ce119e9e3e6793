"""The JavaScript that draws charts in pages: the bundle that vl-convert ships."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from threading import Lock

_BUILDING = Lock()


def bundle(data: Path) -> Path:
    """File with Vega, Vega-Lite and Vega-Embed, made once per version of vl-convert and kept under ``data``."""
    path = data / "cache" / f"vega-{version('vl-convert-python')}.js"
    with _BUILDING:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # In a process of its own: the JavaScript engine that bundles takes memory that it never returns.
            code = "import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle())"
            made = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)  # noqa: S603
            part = path.with_suffix(".part")
            part.write_bytes(made.stdout)
            part.replace(path)
    return path
