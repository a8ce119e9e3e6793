"""Bundles of hostile makers: refused in one line, in bounded memory; and whose catalogues were changed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from greenmine.evidence.bounded import Bounds, BoundsError, Onward, bounded
from greenmine.evidence.bundle import build, pretty
from greenmine.evidence.deviations import deviations
from greenmine.evidence.source import Source
from greenmine.evidence.verify import verify as verified
from greenmine.record.archive.archive import Archive
from greenmine.record.archive.chain import ChainError
from greenmine.record.archive.signing import SigningKey, rotate
from tests.evidence import crafted, hostile
from tests.evidence.bundles import NOW, PERIOD, Files, Made, contents, manifested, packed, verify
from tests.evidence.tampering import tamperings

Crafting = Callable[[Files, SigningKey], Iterator[tuple[str, Files]]]


def _command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "greenmine", "evidence", "verify", *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_zips_that_are_no_bundle_are_refused_in_one_line(made: Made, tmp_path: Path) -> None:
    seen = []
    for name, content in hostile.zips(made.bundle.read_bytes(), contents(made.bundle)):
        (tmp_path / "t.zip").write_bytes(content)
        found = verify(tmp_path / "t.zip", made.key.public)
        assert 1 <= len(found) <= 2, (name, found)
        assert not any("\n" in f"{f.place}{f.what}" for f in found), name
        seen.append(name)
    assert len(seen) == len(set(seen)) >= 45
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.zip"]


def test_what_was_done_to_a_bundle_is_found_whoever_signed_it(made: Made, tmp_path: Path) -> None:
    stranger = SigningKey(tmp_path / "stranger")
    every = tamperings(contents(made.bundle), made.key, stranger, np.random.default_rng(17))
    for what, files in islice(every, 0, None, 17):
        found = verified(packed(tmp_path / "t.zip", files), {made.key.public.fingerprint})
        assert found.findings or found.deviations, what
        assert not any("\n" in f"{f.place}{f.what}" for f in found.findings), what


def test_days_that_no_instrument_measured_are_refused_though_they_are_sealed(made: Made, tmp_path: Path) -> None:
    key = SigningKey(tmp_path / "keys")
    seen = []
    for name, files in hostile.days(contents(made.bundle), key, 5_000_000):
        found = verify(packed(tmp_path / "t.zip", files), key.public)
        assert found, name
        assert not any("\n" in f"{f.place}{f.what}" for f in found), name
        seen.append(name)
    assert len(seen) >= 10


@pytest.mark.parametrize(("craft", "least"), [(crafted.documents, 25), (crafted.tables, 33), (crafted.catalogues, 10)])
def test_what_a_maker_crafts_and_signs_is_found_or_refused(
    made: Made, tmp_path: Path, craft: Crafting, least: int
) -> None:
    every = list(craft(contents(made.bundle), made.key))
    assert len({what for what, _ in every}) == len(every) >= least
    for what, files in every[:: 6 if craft is crafted.tables else 12]:
        found = verified(packed(tmp_path / "t.zip", files), {made.key.public.fingerprint})
        assert found.findings or found.deviations, what
        assert not any("\n" in f"{f.place}{f.what}" for f in found.findings), what


def test_a_chain_that_was_sealed_again_verifies_by_its_own_key_alone(made: Made, tmp_path: Path) -> None:
    key = SigningKey(tmp_path / "keys")
    again = packed(tmp_path / "t.zip", hostile.resealed(contents(made.bundle), key))
    found = verified(again)
    assert (found.trusted, found.key) == (False, key.public)
    assert all("签名密钥指纹" in f.what for f in found.findings)  # the report names the old key
    assert "key.pub" in {f.place for f in verify(again, made.key.public)}


def test_a_bundle_by_a_key_that_took_the_place_of_a_known_one_is_trusted(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.key.lock.parent, tmp_path / "keys")
    rotate(tmp_path / "keys", NOW)
    new = SigningKey(tmp_path / "keys")
    files = contents(made.bundle) | {"key.pub": new.public.pem, "keys.json": pretty(new.ring.successions)}
    bundle = packed(tmp_path / "t.zip", files, new)
    found = verified(bundle, {made.key.public.fingerprint})
    assert (found.trusted, found.key, found.earlier) == (True, new.public, (made.key.public.fingerprint,))
    assert all("签名密钥指纹" in f.what for f in found.findings)  # the report names the old key
    stranger = SigningKey(tmp_path / "stranger")
    posing = packed(tmp_path / "p.zip", files | {"key.pub": stranger.public.pem}, stranger)
    assert {f.place for f in verify(posing, made.key.public)} == {"keys.json"}


def _limits(files: Files, old: str, new: str) -> Files:
    text = files["registry/limits.toml"].decode()
    assert old in text
    return files | {"registry/limits.toml": text.replace(old, new).encode()}


def test_a_changed_legal_limit_is_told_with_both_values_and_its_clause(made: Made, tmp_path: Path) -> None:
    bent = _limits(contents(made.bundle), "wind_invalid = 5.0", "wind_invalid = 3.0")
    found = verified(packed(tmp_path / "t.zip", bent, made.key))
    wind = next(d for d in found.deviations if d.place.endswith("wind_invalid"))
    assert (wind.place, wind.told, wind.trusted, wind.legal) == (
        "limits.toml: conditions: wind_invalid",
        "3.0",
        "5.0",
        True,
    )
    assert not found.lawful
    text = contents(made.bundle)["registry/limits.toml"].decode()
    block = next(part for part in text.split("[[limits]]") if 'id = "gb12348-class2-night"' in part)
    for level, shown in ((95, "95.0"), (950, "950")):  # the latter is in no registry that can be loaded
        bent = _limits(contents(made.bundle), block, block.replace("high = 50", f"high = {level}"))
        found = verified(packed(tmp_path / "t.zip", bent, made.key))
        high = next(d for d in found.deviations if d.place == "limits.toml: gb12348-class2-night.thresholds[0].high")
        assert (high.told, high.legal) == (shown, True)
        assert re.match(r"50(\.0)? \(GB 12348-2008", high.trusted)
        assert not found.lawful


_HALVED = """id = "every-900s"
format = "mapped"
interval = "900s"
sends_flags = false
receive_time = true
[profiles.mapping]
values = [
  { parameter = "ph", value = "ph", unit = "1", scale = 0.5 },
  { parameter = "do", value = "do", unit = "mg/L" },
  { parameter = "flow", value = "flow", unit = "L/s" },
  { parameter = "rain", value = "rain", unit = "mm", scale = 0.5 },
]
[[profiles]]
id = "other"
"""


_RESULT = """[[references]]
station = "homes"
parameter = "pm10"
start = 2026-03-04T05:00:00+08:00
end = 2026-03-04T06:00:00+08:00
value = 15.0
laboratory = "Lab"
certificate = "CMA-1"
method = "HJ 618-2011"
document = "R-1"
[[stations]]
"""


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (
            "shipped-profiles.toml",
            'value = "pm10", unit = "ug/m3"',
            'value = "pm10", unit = "mg/m3"',
            [("shipped-profiles.toml: airgradient.mapping.values[2].unit", "mg/m3", "ug/m3")],
        ),
        (
            "shipped-profiles.toml",
            'value = "pm10", unit',
            'value = "pm10", scale = 2.0, unit',
            [("shipped-profiles.toml: airgradient.mapping.values[2].scale", "2.0", "nothing")],
        ),
        (
            "profiles.toml",
            'id = "every-60s"\nformat = "greenmine"\nzone = "Asia/Shanghai"',
            'id = "every-60s"\nformat = "greenmine"\nzone = "Asia/Tokyo"',
            [
                (
                    f"registry: mine/{device}: profile every-60s: zone",
                    "Asia/Tokyo",
                    "Asia/Shanghai, the zone of the mine",
                )
                for device in ("north", "south", "fence", "homes", "weather")
            ],
        ),
        (
            "profiles.toml",
            'id = "every-900s"',
            _HALVED,
            [("registry: mine/pond: profile every-900s: ph", "scale 0.5", "the value as sent")],
        ),
        ("shipped-profiles.toml", "\nid =", "\nid  =", []),
        (
            "sites/mine.toml",
            "[[stations]]",
            _RESULT,
            [
                (
                    "registry: homes/pm10: laboratory's result until 2026-03-04 06:00:00+08:00",
                    "15.0 (Lab, R-1)",
                    "the values as measured",
                )
            ],
        ),
    ],
)
def test_what_says_something_else_than_what_ships_or_changes_values_is_told(
    made: Made, tmp_path: Path, file: str, old: str, new: str, told: list[tuple[str, str, str]]
) -> None:
    for name, content in contents(made.bundle).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    text = (tmp_path / "registry" / file).read_text("utf-8")
    assert old in text
    (tmp_path / "registry" / file).write_text(text.replace(old, new, 1), "utf-8")
    found = [(one.place, one.told, one.trusted) for one in deviations(Source(tmp_path, PERIOD)) if not one.legal]
    assert found == told


def test_the_status_tells_whole_from_changed_from_unknown_from_wrongly_called(made: Made, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_bytes(made.key.public.pem)
    (tmp_path / "trust").write_text(f"# ours\n{made.key.public.fingerprint} the mine's\n")
    (tmp_path / "bad").write_text("nonsense\n")
    unknown = _command(made.bundle)
    assert (unknown.returncode, made.key.public.fingerprint in unknown.stdout) == (3, True)
    named = _command(made.bundle, "--trust", tmp_path / "trust")
    assert (named.returncode, "of the mine's" in named.stdout) == (0, True)
    wrong = [_command(tmp_path / "none.zip"), _command(made.bundle, "--trust", tmp_path / "bad"), _command(tmp_path)]
    assert [(done.returncode, done.stderr.count("\n")) for done in wrong] == [(2, 1)] * 3
    bent = _limits(contents(made.bundle), "wind_invalid = 5.0", "wind_invalid = 5.5")
    changed = _command(packed(tmp_path / "t.zip", manifested(bent, made.key)), "--key", tmp_path / "key.pub")
    assert changed.returncode == 1
    assert "deviation (legal): limits.toml: conditions: wind_invalid: 5.5; greenmine" in changed.stdout
    assert "not those of the law" in changed.stdout


def _greedy(_progress: object, *, workspace: Path) -> None:  # noqa: ARG001 - as `bounded` calls
    held = bytearray(1 << 29)
    held[:: 1 << 12] = bytes(1 << 17)


def test_work_that_takes_too_much_memory_is_ended() -> None:
    with pytest.raises(BoundsError, match="more than 200 MB"):
        bounded(_greedy, (), {}, Bounds(2e8, 60.0), lambda *_: None)


def _delegating(_progress: object, *, workspace: Path) -> None:  # noqa: ARG001 - as `bounded` calls
    code = "held = bytearray(1 << 29)\nheld[:: 1 << 12] = bytes(1 << 17)\nimport time\ntime.sleep(60)"
    subprocess.run([sys.executable, "-c", code], check=False)


def test_memory_of_what_the_work_began_counts() -> None:
    with pytest.raises(BoundsError, match="more than 200 MB"):
        bounded(_delegating, (), {}, Bounds(2e8, 60.0), lambda *_: None)


def _first(_progress: object, *, workspace: Path) -> Onward:
    (workspace / "left").write_text("over")
    return Onward(_second, (os.getpid(),))


def _second(before: int, _progress: object, *, workspace: Path) -> tuple[bool, str]:
    return before != os.getpid(), (workspace / "left").read_text()


def test_work_goes_on_in_another_process_with_the_files_of_the_first() -> None:
    assert bounded(_first, (), {}, Bounds(2e9, 60.0), lambda *_: None) == (True, "over")


def test_nothing_is_built_of_a_sealed_day_that_was_changed(made: Made, tmp_path: Path) -> None:
    files = contents(made.bundle)
    for name, content in files.items():
        if name.startswith("archive/"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if "03-04.parquet" not in name else content[:-1] + b"x")
    here = made.here.__class__(
        made.record.engine, made.registry, made.here.registry_folder, Archive(tmp_path / "archive"), made.key, made.here.lateness
    )  # fmt: skip
    with pytest.raises(ChainError, match="2026-03-04"):
        build(here, "mine", PERIOD, tmp_path / "t.zip", NOW)
