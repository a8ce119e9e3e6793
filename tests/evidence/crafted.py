"""Bundles that their maker crafted and signed: documents, tables and catalogues that are sound in form and no bundle's."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from greenmine.record.archive.archive import FIELDS
from greenmine.record.archive.chain import parse
from greenmine.record.archive.signing import SigningKey
from tests.evidence.bundles import Files, manifested
from tests.evidence.hostile import DAY, resealed, with_rows, written

_DEEP = b"[" * 200_000
_CHAIN = "archive/mine/chain/"
_CATALOGUES = (
    ("night noise at 95 dB", "limits", r'(id = "gb12348-class2-night"(?:.|\n)*?high = )\d+', r"\g<1>95"),
    ("a day that begins later", "limits", r'window = "day-time"', 'window = "night-time"'),
    ("the mine told to be no addressee", "limits", r'addressee = "emission"', 'addressee = "quality"'),
    ("another clause", "limits", r'clause = "([^"]+)"', r'clause = "\1.1"'),
    ("another standard", "limits", r'standard = "GB 12348-2008"', 'standard = "GB 12348-2009"'),
    ("in force until last year", "limits", r"valid_from = \d{4}-", "valid_from = 2099-"),
    ("wind that excuses", "limits", r"wind_invalid = 5\.0", "wind_invalid = 0.5"),
    ("a threshold a little higher", "limits", r"high = (\d+)\n", r"high = \1.04\n"),
    ("micrograms told to be milligrams", "parameters", r'unit = "ug/m3"', 'unit = "mg/m3"'),
    ("sound averaged as dust", "parameters", r'averaging = "energy"', 'averaging = "arithmetic"'),
    ("a wider plausible range", "parameters", r"plausible = \[[^\]]+\]", "plausible = [-1e9, 1e9]"),
    ("half the share that is due", "reporting", r"assessable_share = [0-9.]+", "assessable_share = 0.01"),
    ("another theme", "themes", r'id = "noise"', 'id = "noises"'),
)  # fmt: skip
"""What is told, catalogue, what is sought and what is put there."""


def catalogues(files: Files, key: SigningKey) -> Iterator[tuple[str, Files]]:
    """Catalogues with one value of the law changed, signed."""
    for what, catalogue, old, new in _CATALOGUES:
        name = f"registry/{catalogue}.toml"
        text, count = re.subn(old, new, files[name].decode(), count=1)
        if count:
            yield what, manifested(files | {name: text.encode()}, key)


def documents(files: Files, key: SigningKey) -> Iterator[tuple[str, Files]]:
    """JSON, PDF, XLSX and keys that ask for more than they hold, or say more than one thing; signed."""
    for name in ("keys.json", "receipts.json", "record.json", "figures.json"):
        yield f"deep {name}", manifested(files | {name: _DEEP}, key)
        yield f"{name} of NaN", manifested(files | {name: b"[NaN]\n"}, key)
        yield f"{name} in UTF-16", manifested(files | {name: files[name].decode().encode("utf-16")}, key)
    twice = files["figures.json"].replace(b'{\n "', b'{\n "site": "other",\n "', 1)
    yield "a key twice in the figures", manifested(files | {"figures.json": twice}, key)
    twice = files["record.json"].replace(b'{\n "', b'{\n "handling": [],\n "', 1)
    yield "a key twice in the record", manifested(files | {"record.json": twice}, key)
    manifest = files["manifest.json"].replace(b'{\n "', b'{\n "site": "other",\n "', 1)
    yield "a key twice in the manifest", _signed(files, manifest, key)
    yield "deep manifest", _signed(files, _DEEP, key)
    names = json.loads(files["manifest.json"])
    names["files"].append({"name": "../../etc/passwd", "size": 1, "sha256": "0" * 64})
    yield "a manifest that names what lies elsewhere", _signed(files, _json(names), key)
    names = json.loads(files["manifest.json"])
    names["files"].append(names["files"][0])
    yield "a manifest that names a file twice", _signed(files, _json(names), key)
    for what, period in (("backwards", ("2026-03-05", "2026-03-03")), ("of an age", ("0001-01-01", "9999-12-31"))):
        span = json.loads(files["manifest.json"]) | dict(zip(("first", "last"), period, strict=True))
        yield f"a period {what}", _signed(files, _json(span), key)
    yield "the signature of other bytes", files | {"manifest.sig": base64.b64encode(key.sign(b"other")) + b"\n"}
    yield "keys of a ring that never was", manifested(files | {"keys.json": b'[{"key": "a", "by": "b"}]\n'}, key)
    page = files["report.pdf"]
    yield "a report of another", manifested(files | {"report.pdf": page.replace(b"/MediaBox", b"/MediaBux")}, key)
    yield "a report that refers to itself", manifested(files | {"report.pdf": _looping()}, key)
    yield "a workbook of nothing", manifested(files | {"figures.xlsx": b"PK\x05\x06" + bytes(18)}, key)


def bombs(files: Files, key: SigningKey) -> Iterator[tuple[str, Files]]:
    """Documents that unpack to a gigabyte, signed: to be checked where memory has a bound."""
    yield "a report whose page unpacks to a gigabyte", manifested(files | {"report.pdf": _inflating()}, key)
    yield "a workbook that unpacks to a gigabyte", manifested(files | {"figures.xlsx": _workbook(files)}, key)


def tables(files: Files, key: SigningKey) -> Iterator[tuple[str, Files]]:
    """Sealed days whose rows no collector writes, sealed and signed as if it did."""
    table = pq.read_table(io.BytesIO(files[DAY]))

    def sealed(what: str, changed: pa.Table, **how: object) -> tuple[str, Files]:
        return what, resealed(files | {DAY: written(changed, **how)}, key)

    value = table["value"].to_numpy(zero_copy_only=False).copy()
    for name, odd in (("NaN", np.nan), ("infinity", np.inf), ("minus infinity", -np.inf), ("the largest", 1.7e308)):
        bent = value.copy()
        bent[: len(bent) // 2] = odd
        yield sealed(f"values of {name}", _with(table, "value", pa.array(bent)))
    for name, instant in (("before all", -(2**62)), ("beyond all", 2**62), ("of another year", 0)):
        times = np.full(table.num_rows, instant)
        yield sealed(f"instants {name}", _with(table, "time", pa.array(times)))
        yield sealed(f"receipts {name}", _with(table, "received", pa.array(times)))
    yield sealed("leaves below zero", _with(table, "leaf", pa.array(np.full(table.num_rows, -1))))
    yield sealed("leaves beyond all", _with(table, "leaf", pa.array(np.full(table.num_rows, 2**31 - 1))))
    yield sealed("no leaf at all", _with(table, "leaf", pa.nulls(table.num_rows)))
    yield sealed("rows in another order", table.take(np.arange(table.num_rows)[::-1]))
    yield sealed("kinds that are none", _with(table, "kind", pa.array(["rumour"] * table.num_rows)))
    many = [f"mine/{number:06d}/pm10" for number in range(table.num_rows)]
    yield sealed("as many channels as rows", _with(table, "channel", pa.array(many)))
    yield sealed("flags of many letters", _with(table, "flag", pa.array(["NNN"] * table.num_rows)))
    yield sealed(
        "details that are deep", _with(table, "detail", pa.array([_DEEP.decode()] + [None] * (table.num_rows - 1)))
    )
    yield sealed("one more column", table.append_column("more", pa.nulls(table.num_rows, pa.int8())))
    yield sealed("one column less", table.drop_columns(["sequence"]))
    yield sealed("notes in a day", table.replace_schema_metadata({"note": "all is well"}))
    hours = pq.read_table(io.BytesIO(files["hours.parquet"])).replace_schema_metadata({"note": "all is well"})
    yield "notes in the hours", manifested(files | {"hours.parquet": written(hours)}, key)
    yield sealed("a row group for each row", table.slice(0, 400), row_group_size=1)
    yield "more rows told than there are", resealed(files | {DAY: _recounted(files[DAY], table.num_rows)}, key)
    yield "no file", resealed(files | {DAY: b""}, key)
    yield "the day before", resealed(files | {DAY: files[DAY.replace("-04", "-03")]}, key)
    yield "days in another order", manifested(_exchanged(files), key)
    last = max(name for name in files if name.startswith(_CHAIN))
    yield "an entry of a day that never was", resealed(files | {f"{_CHAIN}00000006.json": files[last]}, key)
    yield "entries that name fewer rows", resealed(with_rows(files, DAY, {"reading": 1}), key)
    stranger = {n: c for n, c in files.items() if n != last} | {last: files[last].replace(b"mine", b"mime")}
    yield "an entry of another mine", manifested(stranger, key)
    tree = pq.read_table(io.BytesIO(files["tree.parquet"]))
    for what, changed in (
        ("without its first leaf", tree.slice(1)),
        ("with a leaf more", pa.concat_tables([tree, tree.slice(0, 1)])),
        ("in another order", tree.take(np.arange(tree.num_rows)[::-1])),
        ("without what is before", tree.replace_schema_metadata({"first": "0", "before": ""})),
        ("of no beginning", tree.replace_schema_metadata({"first": "-5", "before": "zz"})),
        ("of a beginning beyond all", tree.replace_schema_metadata({"first": "9" * 5000, "before": "00"})),
    ):
        if not changed.equals(tree, check_metadata=True):
            yield f"a tree {what}", manifested(files | {"tree.parquet": written(changed)}, key)


def _signed(files: Files, manifest: bytes, key: SigningKey) -> Files:
    return files | {"manifest.json": manifest, "manifest.sig": base64.b64encode(key.sign(manifest)) + b"\n"}


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def _with(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    place = FIELDS.get_field_index(name)
    field = FIELDS.field(place)
    column = column.dictionary_encode() if pa.types.is_dictionary(field.type) else column
    return table.set_column(place, field, column.cast(field.type))


def _exchanged(files: Files) -> Files:
    """Entries of two days in each other's place."""
    one, other = (f"{_CHAIN}0000000{number}.json" for number in (1, 2))
    left, right = parse(files[one], one)[0].number, parse(files[other], other)[0].number
    swapped = {
        one: files[other].replace(b'"number":%d' % right, b'"number":%d' % left),
        other: files[one].replace(b'"number":%d' % left, b'"number":%d' % right),
    }
    return files | swapped


def _recounted(content: bytes, rows: int) -> bytes:
    """A Parquet file whose footer tells so many rows more than it has."""
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length : -8]
    changed = footer.replace(_varint(rows), _varint(rows + 64))
    return content[: -8 - length] + changed + len(changed).to_bytes(4, "little") + b"PAR1"


def _varint(number: int) -> bytes:
    """A number as Thrift's compact protocol writes it."""
    number, out = number << 1, bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _looping() -> bytes:
    """A tree of pages that holds itself."""
    return (
        b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[2 0 R 2 0 R]/Count 9>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    )


def _inflating() -> bytes:
    """A page whose content unpacks to a gigabyte."""
    packer = zlib.compressobj(9)
    stream = b"".join(packer.compress(b"0 0 m 9 9 l S\n" * 75_000) for _ in range(1_000)) + packer.flush()
    return (
        b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>endobj\n"
        b"4 0 obj<</Filter/FlateDecode/Length " + str(len(stream)).encode() + b">>stream\n" + stream + b"\n"
        b"endstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    )


def _workbook(files: Files) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(files["figures.xlsx"])) as whole,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for info in whole.infolist():
            with out.open(info.filename, "w", force_zip64=True) as file:
                file.write(whole.read(info))
                if info.filename.endswith("sheet1.xml"):
                    for _ in range(1_000):
                        file.write(b" " * 1_000_000)
    return buffer.getvalue()
