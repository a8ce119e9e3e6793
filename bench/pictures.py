"""`python -m bench.pictures [--data DIR]`: take the pictures of READMEs and docs from a running demo, in both languages.

They are written to docs/pictures/; those of dashboards only where the demo finds Grafana and InfluxDB. Without a data directory, a
demo of two days is filled first, which takes some minutes.
"""

from __future__ import annotations

import argparse
import json
import signal
import struct
import subprocess
import sys
import tempfile
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from playwright.sync_api import Page, expect, sync_playwright

from greenmine.cli.boards import BOARDS
from greenmine.cli.visitors import ADMINISTRATOR, PASSWORDS, TOKEN
from greenmine.limits import load_limits
from tests.influxing import until
from tests.ports import free_ports

PICTURES: Final = Path(__file__).parents[1] / "docs" / "pictures"
CHROMIUM: Final = "/usr/bin/chromium"
LANGUAGES: Final = {"en": "en", "zh": "zh-CN"}
"""Ending of a picture's name, and the language that a browser asks for."""
SIZE: Final = {"width": 1440, "height": 900}
PATIENCE: Final = 120_000
"""Longest time until a page is drawn [ms]."""
_PIXELS: Final = """async (source) => {
  const image = new Image();
  image.src = source;
  await image.decode();
  const context = Object.assign(document.createElement("canvas"), {width: image.width, height: image.height}).getContext("2d");
  context.drawImage(image, 0, 0);
  let text = "";
  for (const byte of context.getImageData(0, 0, image.width, image.height).data) text += String.fromCharCode(byte);
  return btoa(text);
}"""


def take(demo: Demo, folder: Path) -> None:
    """Take all pictures of a running demo."""
    folder.mkdir(parents=True, exist_ok=True)
    screens = demo.screens()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        blank = browser.new_page()
        for ending, locale in LANGUAGES.items():
            page = browser.new_page(viewport=SIZE, locale=locale, color_scheme="light")
            demo.sign_in(page)
            for name, path in screens.items():
                page.goto(f"{demo.address}{path}?lang={ending}")
                _settle(page)
                _keep(page, blank, folder / f"{name}.{ending}.png")
            if demo.grafana:
                login = {"user": ADMINISTRATOR, "password": demo.password}
                assert page.request.post(f"{demo.grafana}/login", data=login).ok
                for name, path in demo.boards().items():
                    page.goto(f"{demo.grafana}{path.format(ending)}&kiosk&theme=light")
                    _drawn(page)
                    _keep(page, blank, folder / f"{name}.{ending}.png")
            page.close()
        browser.close()


def _keep(page: Page, blank: Page, path: Path) -> None:
    """Take a picture of what is in sight."""
    source = "data:image/png;base64," + b64encode(page.screenshot(animations="disabled")).decode()
    pixels = np.frombuffer(b64decode(blank.evaluate(_PIXELS, source)), np.uint8)
    path.write_bytes(png(pixels.reshape(SIZE["height"], SIZE["width"], 4)))


def _drawn(page: Page) -> None:
    """Wait until a dashboard of Grafana is drawn."""
    page.get_by_test_id("data-testid panel content").first.wait_for(timeout=PATIENCE)
    page.wait_for_load_state("networkidle")
    expect(page.get_by_label("Panel loading bar")).to_have_count(0, timeout=PATIENCE)
    page.wait_for_timeout(3_000)  # maps are drawn last


def _settle(page: Page) -> None:
    """Wait until a page is live and its charts are drawn."""
    expect(page.locator("#live[data-state=connecting]")).to_have_count(0, timeout=PATIENCE)
    for plot in page.locator(".plot:visible").all():
        expect(plot.locator("svg").first).to_be_attached(timeout=PATIENCE)


@dataclass(frozen=True)
class Demo:
    """A running ``greenmine demo``."""

    data: Path
    address: str

    @property
    def password(self) -> str:
        """Password of its administrator."""
        return str(json.loads((self.data / PASSWORDS).read_text())[ADMINISTRATOR])

    @property
    def grafana(self) -> str:
        """Address of its Grafana; empty where it found none."""
        path = self.data / BOARDS
        return str(json.loads(path.read_text())["address"]) if path.exists() else ""

    def sign_in(self, page: Page) -> None:
        """Sign in as its administrator."""
        page.goto(f"{self.address}/sign-in")
        page.locator("[name=name]").fill(ADMINISTRATOR)
        page.locator("[name=password]").fill(self.password)
        page.locator("main button").click()
        page.wait_for_url(f"{self.address}/")

    def boards(self) -> dict[str, str]:
        """Dashboards by name, with a place for the language."""
        site = self.screens()["mine"].rpartition("/")[2]
        return {
            "grafana-overview": "/d/greenmine-overview-{}?from=now-7d",
            "grafana-mine": f"/d/greenmine-mine-{{}}?var-site={site}&from=now-2d",
            "grafana-dust": f"/d/greenmine-dust-{{}}?var-site={site}&from=now-2d",
        }

    def items(self, route: str) -> list[dict[str, Any]]:
        """Items of a route; none before it answers."""
        try:
            headers = {"Authorization": f"Bearer {(self.data / TOKEN).read_text().strip()}"}
            answer = httpx.get(f"{self.address}/api/v1/{route}", headers=headers, timeout=60)
        except (httpx.TransportError, FileNotFoundError):
            return []
        return list(answer.raise_for_status().json()["items"])

    def live(self) -> bool:
        """Whether its history is complete."""
        times = [datetime.fromisoformat(item["time"]) for item in self.items("latest") if item["time"]]
        return bool(times) and datetime.now(UTC) - max(times) < timedelta(minutes=2)

    def screens(self) -> dict[str, str]:
        """Pages by name; those of the mine with the exceedance that is furthest above its limit."""
        limits, _ = load_limits()
        found = [
            item
            for item in self.items("exceedances")
            if item["threshold"] and limits[item["limit"]].statistic == "mean"
        ]
        worst = max(found, key=lambda item: item["peak"] / item["threshold"])
        return {"overview": "/", "mine": f"/sites/{worst['site']}", "exceedance": f"/exceedances/{worst['id']}"}


@contextmanager
def running(days: int, data: Path | None = None) -> Iterator[Demo]:
    """Run a demo until its history is complete and beyond; without a directory of data it begins with an empty one."""
    with tempfile.TemporaryDirectory(prefix="greenmine-demo-") as name:
        (port,) = free_ports(1)
        demo = Demo(data or Path(name), f"http://127.0.0.1:{port}")
        command = ["demo", "--days", str(days), "--data", str(demo.data), "--port", str(port)]
        process = subprocess.Popen([sys.executable, "-m", "greenmine", *command])
        try:
            until(demo.live, "the end of the history", 1800)
            yield demo
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def png(pixels: np.ndarray) -> bytes:
    """Write pixels, shape (height, width, 4), in the 256 commonest of their colours: a third of what a browser writes."""
    height, width, _ = pixels.shape
    colours, place, count = np.unique(pixels.reshape(-1, 4)[:, :3], axis=0, return_inverse=True, return_counts=True)
    palette = colours[np.argsort(-count)[:256]].astype(np.int64)
    nearest = np.array([np.square(palette - colour).sum(axis=1).argmin() for colour in colours], np.uint8)
    rows = np.zeros((height, 1 + width), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = nearest[place.reshape(height, width)]
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0),
        b"PLTE": palette.astype(np.uint8).tobytes(),
        b"IDAT": zlib.compress(rows.tobytes(), 9),
        b"IEND": b"",
    }
    written = [(len(body), name + body) for name, body in chunks.items()]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body)) for length, body in written
    )


def main() -> None:
    """Start a demo, and take the pictures when its history is complete."""
    parser = argparse.ArgumentParser(prog="python -m bench.pictures", description="Pictures of the READMEs.")
    parser.add_argument("--data", type=Path, help="directory that `greenmine demo` has filled, not long ago")
    with running(days=2, data=parser.parse_args().data) as demo:
        take(demo, PICTURES)


if __name__ == "__main__":
    main()
