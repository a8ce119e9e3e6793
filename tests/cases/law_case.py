"""A case of the law: a folder with what was measured, and what the clause makes of it."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from greenmine.durations import parse_duration
from greenmine.limits import CATALOGUE

HERE = Path(__file__).parent
CASES = HERE / "law"
MINE = HERE / "mine"
SITE = "pit"

_KEYS = frozenset(
    {"limits", "site", "stations", "devices", "catalogue", "readings", "marks", "period", "waits", "options", "others"}
)


@dataclass(frozen=True)
class LawCase:
    """One folder of `CASES`."""

    folder: Path

    @cached_property
    def table(self) -> dict[str, Any]:
        table = tomllib.loads((self.folder / "case.toml").read_text(encoding="utf-8"))
        assert set(table) <= _KEYS, set(table) - _KEYS
        return table

    @cached_property
    def expected(self) -> dict[str, Any]:
        return json.loads((self.folder / "expected.json").read_text(encoding="utf-8"))

    def call(self, folder: Path) -> dict[str, Any]:
        """Write registry, readings and marks; return the options of ``greenmine judge``."""
        options: dict[str, Any] = {
            "registry": self.registry(folder / "registry"),
            "readings": [str(self._readings(folder / "readings.csv"))],
            "period": self.table["period"],
            "site": SITE,
        }
        if "marks" in self.table:
            (folder / "marks.toml").write_text(
                _array("marks", ({"site": SITE} | m for m in self.table["marks"])), encoding="utf-8"
            )
            options["marks"] = folder / "marks.toml"
        return options

    def registry(self, folder: Path) -> Path:
        """The mine of `MINE` with what the case changes."""
        (folder / "sites").mkdir(parents=True)
        for name in ("enterprises.toml", "profiles.toml"):
            (folder / name).write_bytes((MINE / name).read_bytes())
        for other in self.table.get("others", ()):
            (folder / f"sites/{other}.toml").write_bytes((MINE / f"others/{other}.toml").read_bytes())
        site = tomllib.loads((MINE / f"sites/{SITE}.toml").read_text(encoding="utf-8")) | self.table.get("site", {})
        for station, limits in self.table.get("limits", {}).items():
            _named(site["stations"], station)["limits"] = limits
        for kind in ("stations", "devices"):
            for name, changed in self.table.get(kind, {}).items():
                _named(site[kind], name).update(changed)
        arrays = {k: v for k, v in site.items() if isinstance(v, list) and v and isinstance(v[0], dict)}
        text = "".join(f"{k} = {_toml(v)}\n" for k, v in site.items() if k not in arrays)
        text += "".join(_array(k, v) for k, v in arrays.items())
        (folder / f"sites/{SITE}.toml").write_text(text, encoding="utf-8")
        if "catalogue" in self.table:
            more = _array("limits", self.table["catalogue"])
            (folder / "limits.toml").write_text(f"{CATALOGUE.read_text(encoding='utf-8')}\n{more}", encoding="utf-8")
        return folder

    def _readings(self, path: Path) -> Path:
        """The file of the case, or what its lines make: a later line takes the place of an earlier one at the same instants."""
        own = self.folder / "readings.csv"
        if own.exists():
            return own
        rows: dict[str, dict[int, tuple[float, str]]] = {}
        for line in self.table["readings"]:
            mine = rows.setdefault(line["channel"], {})
            values, flag = line.get("values", [line.get("value", "")]), line.get("flag", "N")
            for n, second in enumerate(_seconds(line)):
                if line.get("missing"):
                    mine.pop(second, None)
                else:
                    mine[second] = values[n % len(values)], flag
        with path.open("w", encoding="utf-8") as file:
            file.write("channel,time,value,flag\n")
            for name, mine in rows.items():
                channel = name if name.count("/") > 1 else f"{SITE}/{name}"
                stamps = np.datetime_as_string(np.array(list(mine), "datetime64[s]"))
                file.writelines(
                    f"{channel},{stamp},{value},{flag}\n"
                    for stamp, (value, flag) in zip(stamps, mine.values(), strict=True)
                )
        return path


def _seconds(line: Mapping[str, Any]) -> list[int]:
    """Local instants of a line of a generator [s]: ``from`` to ``to``, ``every``, on certain ``hours`` and ``minutes``."""
    first, last = (np.datetime64(line[key], "s").astype(np.int64) for key in ("from", "to"))
    every = parse_duration(line.get("every", "60s")) // 1000
    seconds = np.arange(first, last, every)
    minute = seconds % 86_400 // 60
    keep = np.ones(len(seconds), np.bool_)
    if "hours" in line:
        keep = np.zeros(len(seconds), np.bool_)
        for span in line["hours"]:
            begin, end = (60 * int(t[:2]) + int(t[3:]) for t in span.split("-"))
            keep |= (minute >= begin) & (minute < end)
    if "minutes" in line:
        begin, end = line["minutes"]
        keep &= (minute % 60 >= begin) & (minute % 60 < end)
    return seconds[keep].tolist()


def _named(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in rows if row["id"] == name)


def _array(key: str, rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(f"\n[[{key}]]\n" + "".join(f"{_key(k)} = {_toml(v)}\n" for k, v in row.items()) for row in rows)


def _key(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, date | datetime):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False)


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What of a document is not as expected.

    ``summary``, ``verdicts``, ``exceedances`` and ``removed`` list rows that must be there: keys in `_NAMES` find a row, the
    others are compared; of ``reasons`` those named must be among them. ``counts`` says how many rows have certain values.
    """
    out: list[str] = []
    for part in ("summary", "verdicts", "exceedances", "removed"):
        for row in expected.get(part, ()):
            names = {k: v for k, v in row.items() if k in _NAMES}
            hits = [one for one in found[part] if _same(names, one)]
            if len(hits) != 1:
                out.append(f"{part}: {len(hits)} rows with {names}")
            else:
                out += [
                    f"{part} {names}: {k} is {hits[0].get(k)!r}, not {v!r}"
                    for k, v in row.items()
                    if not _fits(v, hits[0].get(k))
                ]
    for count in expected.get("counts", ()):
        n = sum(_same(count["where"], one) for one in found[count["of"]])
        if n != count["n"]:
            out.append(f"{count['of']} with {count['where']}: {n}, not {count['n']}")
    return out


_NAMES = frozenset({"theme", "addressee", "rule", "limit", "channel", "start", "period_start"})


def _same(wanted: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    return all(_fits(v, row.get(k)) for k, v in wanted.items())


def _fits(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, list):
        return isinstance(found, list) and set(wanted) <= set(found)
    if isinstance(wanted, float):
        return isinstance(found, int | float) and math.isclose(wanted, found, rel_tol=1e-4, abs_tol=5e-3)
    if isinstance(wanted, str) and isinstance(found, str) and len(wanted) == 16 and wanted[10] == "T":
        return found.startswith(wanted)
    return bool(wanted == found)
