"""Tamperings of a bundle: every file edited, left out, put in, swapped, cut, and signed anew by its maker or by a stranger."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from greenmine.record.archive.signing import SigningKey
from tests.evidence.bundles import Files, manifested

_SIGNED = {"manifest.json", "manifest.sig"}
_TEXTS = (".json", ".txt", ".pub")
_NUMBER = re.compile(rb"= (\d+)")


def tamperings(
    files: Files, maker: SigningKey, stranger: SigningKey, random: np.random.Generator
) -> Iterator[tuple[str, Files]]:
    """Bundles that are not what their maker built, by what was done to them; every file, each kind."""
    names = sorted(files)
    last = max(name for name in names if "/chain/" in name)
    for name in names:
        other = names[(names.index(name) + 1 + int(random.integers(len(names) - 1))) % len(names)]
        whole = files[name]
        yield f"edit {name}", files | {name: _flipped(whole, random)}
        yield f"drop {name}", _without(files, name)
        yield f"truncate {name}", files | {name: whole[: int(random.integers(len(whole)))]}
        if files[other] != whole:
            yield f"swap {name} and {other}", files | {name: files[other], other: whole}
        yield f"add to {name}", files | {name: whole + b"\n"}
        if name in _SIGNED:
            continue
        if name != last:  # before it was sealed a maker would have built the same
            yield f"drop and sign {name}", manifested(_without(files, name), maker)
        yield f"truncate and sign {name}", manifested(files | {name: whole[: len(whole) // 2]}, maker)
        posing = files | {name: _flipped(whole, random), "key.pub": stranger.public.pem}
        yield f"edit and sign {name} as another", manifested(posing, stranger)
        if name.endswith(_TEXTS):
            yield f"edit and sign {name}", manifested(files | {name: _flipped(whole, random)}, maker)
            yield f"add to and sign {name}", manifested(files | {name: whole + b"\n"}, maker)
        elif name.endswith(".toml"):
            yield f"edit and sign {name}", manifested(files | {name: _bent(whole)}, maker)
    for name in (
        "documents/more.pdf",
        "archive/mine/2026-03-04.1.parquet",
        "provisional/2026-03-04.parquet",
        "attachments/a",
    ):
        content = files["archive/mine/2026-03-03.parquet"]
        yield f"add {name}", files | {name: content}
        yield f"add and sign {name}", manifested(files | {name: content}, maker)
    for name, changed in _by_its_maker(files):
        yield f"{name}, signed", manifested(changed, maker)


def _by_its_maker(files: Files) -> Iterator[tuple[str, Files]]:
    """What a maker would change, in every document and table."""
    figures = json.loads(files["figures.json"])
    for place, change in _leaves(figures):
        if place[-1] in {
            "mean",
            "verdict",
            "judgement",
            "peak",
            "share_meeting",
            "capture",
            "due",
            "minutes",
            "threshold",
        }:
            changed = json.loads(files["figures.json"])
            _set(changed, place, change)
            yield f"figures {place}", files | {"figures.json": _pretty(changed)}
    record = json.loads(files["record.json"])
    for key, value in record.items():
        if (
            isinstance(value, list) and value and key != "exceedances"
        ):  # cause and handling of those are the record's word
            yield f"record without {key}", files | {"record.json": _pretty(record | {key: value[1:]})}
    for name in (n for n in files if n.endswith(".parquet")):
        table = pq.read_table(io.BytesIO(files[name]))
        yield f"{name} without its last row", files | {name: _parquet(table.slice(0, table.num_rows - 1))}
        yield f"{name} with its first row twice", files | {name: _parquet(pa.concat_tables([table.slice(0, 1), table]))}
    manifest = json.loads(files["manifest.json"])
    for key, value in {
        "site": "other", "first": "2026-03-02", "last": "2026-03-06", "form": "greenmine-bundle-0", "provisional": ["2026-03-04"],
        "language": "en", "more": 1, "period": "other", "software": "0.0.0",
    }.items():  # fmt: skip
        yield f"manifest with another {key}", files | {"manifest.json": _pretty(manifest | {key: value})}


def _leaves(
    value: Any, place: tuple[Any, ...] = (), seen: set[str] | None = None
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """A number or word of each kind within a document, with another in its place."""
    seen = set() if seen is None else seen
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        here = (*place, key)
        kind = ".".join(part for part in here if isinstance(part, str))
        if isinstance(inner, (dict, list)):
            yield from _leaves(inner, here, seen)
        elif isinstance(inner, (int, float)) and not isinstance(inner, bool) and kind not in seen:
            seen.add(kind)
            yield here, inner * 0.5 + 1 if isinstance(inner, float) else inner + 1
        elif inner in {"exceeds", "meets"} and kind not in seen:
            seen.add(kind)
            yield here, "meets" if inner == "exceeds" else "exceeds"


def _set(document: Any, place: tuple[Any, ...], value: Any) -> None:
    for key in place[:-1]:
        document = document[key]
    document[place[-1]] = value


def _bent(table: bytes) -> bytes:
    """A table with another number in it, or another name where it has none; what is behind ``#`` would mean nothing."""
    if _NUMBER.search(table):
        return _NUMBER.sub(lambda found: b"= %d" % (int(found[1]) + 1), table, count=1)
    return table.replace(b'= "', b'= "X', 1)


def _flipped(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    changed[int(random.integers(len(content)))] ^= int(random.integers(1, 256))
    return bytes(changed)


def _without(files: Files, name: str) -> Files:
    return {other: content for other, content in files.items() if other != name}


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _pretty(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
