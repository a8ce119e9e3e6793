"""An independent reader of the payloads: (instant, parameter) to value."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


def instant(stamp: int | str) -> int:
    return stamp if isinstance(stamp, int) else round(datetime.fromisoformat(stamp).timestamp() * 1000)


def own(payload: bytes) -> dict[tuple[int, str], float | None]:
    body: dict[str, Any] = msgspec.json.decode(payload)
    single = {(body["time"], name): value for name, value in body.get("values", {}).items()} if "time" in body else {}
    batch = {
        (time, name): value
        for name, column in body.get("columns", {}).items()
        for time, value in zip(body["times"], column, strict=True)
    }
    return {(instant(time), name): value for (time, name), value in {**single, **batch}.items()}


def senml(payload: bytes) -> dict[tuple[int, str], float | None]:
    return {(round(record["t"] * 1000), record["n"]): record["v"] for record in msgspec.json.decode(payload)}


def thingsboard(payload: bytes) -> dict[tuple[int, str], float | None]:
    body = msgspec.json.decode(payload)
    entries = body if isinstance(body, list) else [body]
    return {(entry["ts"], name): value for entry in entries for name, value in entry["values"].items()}


READERS = {"greenmine": own, "senml": senml, "thingsboard": thingsboard}
