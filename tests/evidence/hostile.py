"""Bundles that a hostile maker could hand out: zips and Parquet files that ask for more than they hold, and chains sealed again."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa
from pyarrow import parquet as pq

from greenmine.record.archive.archive import FIELDS
from greenmine.record.archive.chain import Entry, signed
from greenmine.record.archive.signing import SigningKey
from tests.evidence.bundles import Files, manifested

DAY = "archive/mine/2026-03-04.parquet"
NAMES = (
    "../evil.txt", "/tmp/evil.txt", "a/../../evil", "C:\\evil", "C:evil", "manifest.json/x", "x" * 300, "dir/", "\0evil", " ",
    "key.pub\0.txt", "archive", "registry/../manifest.json", "CON", "./manifest.json", "a//b", "archive/mine/chain/", "a\\b",
    "registry/\x1b[2J", "archive/\u202etxt.exe", "extra.txt", "documents/..", "attachments/" + "y" * 240, "KEY.pub",
    "Figures.json", "MANIFEST.JSON", "archive\0", "\ufeffkey.pub", "registry\uff0flimits.toml", "..", "~/x",
    "archive/mine/chain/../x",
)  # fmt: skip
"""Names that no file of a bundle has."""


def resealed(files: Files, key: SigningKey) -> Files:
    """The chain signed anew so that it fits its files, as whoever holds a key can, and the manifest with it."""
    files, previous = files | {"key.pub": key.public.pem}, ""
    for name in sorted(n for n in files if "/chain/" in n):
        entry = json.loads(files[name])["entry"]
        entry |= {"key": key.public.fingerprint, "previous": previous}
        content = files.get(f"archive/{entry['site']}/{entry['file']}")
        if content is not None:
            entry |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        raw = msgspec.json.encode(msgspec.convert(entry, Entry), order="deterministic")
        files[name] = signed(raw, key.sign(raw))
        previous = hashlib.sha256(files[name]).hexdigest()
    return manifested(files, key)


def with_rows(files: Files, day: str, rows: dict[str, int]) -> Files:
    """The entry of a day says that it holds these rows."""
    for name in (n for n in files if "/chain/" in n):
        document = json.loads(files[name])
        if day.endswith("/" + document["entry"]["file"]):
            document["entry"]["rows"] = dict.fromkeys(document["entry"]["rows"], 0) | rows
            files = files | {name: json.dumps(document).encode()}
    return files


def zipped(files: Files, **how: int) -> bytes:
    """A zip as anybody makes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **how) as archive:  # type: ignore[call-overload]
        for name, content in sorted(files.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr, info.compress_type = 0o644 << 16, archive.compression
            archive.writestr(info, content)
    return buffer.getvalue()


def zips(whole: bytes, files: Files) -> Iterator[tuple[str, bytes]]:
    """Zips that are no bundle, by what is wrong with them."""
    for name in NAMES:
        yield f"name {name[:20]!r}", _named(files, name)
    yield "twice", _added(files, "figures.json", files["figures.json"].replace(b"exceeds", b"meets"))
    yield "link", _added(files, "documents/link", b"/etc/passwd", 0o120777)
    yield "device", _added(files, "documents/zero", b"", 0o020666)
    yield "deflated", zipped(files, compression=zipfile.ZIP_DEFLATED)
    yield "lzma", zipped(files, compression=zipfile.ZIP_LZMA)
    yield "deflated zeros", zipped({"manifest.json": b"0" * 40_000_000}, compression=zipfile.ZIP_DEFLATED)
    yield "bzip2 zeros", zipped({"manifest.json": b"0" * 10_000_000}, compression=zipfile.ZIP_BZIP2)
    yield (
        "deflated entry",
        zipped(files | {"registry/limits.toml": b" " * 40_000_000}, compression=zipfile.ZIP_DEFLATED),
    )
    yield "large manifest", zipped({"manifest.json": b'{"files":[' + b"{}," * 12_000_000 + b"{}]}"})
    yield "deep manifest", zipped(files | {"manifest.json": b"[" * 1_000_000})
    yield "large key", zipped(files | {"key.pub": b"-" * 2_000_000})
    yield "many files", zipped({f"documents/{n}": b"" for n in range(2_000)})
    yield "comment", whole[:-2] + struct.pack("<H", 5) + b"hello"
    yield "before it", b"MZ" + whole
    yield "behind it", whole + b"tail"
    yield "between", b"PK\x03\x04" + whole
    yield "half", whole[: len(whole) // 2]
    yield "without end", whole[:-22]
    yield "end only", whole[-22:]
    yield "empty zip", b"PK\x05\x06" + bytes(18)
    yield "empty", b""
    yield "long contents", whole[:-10] + b"\xff\xff\xff\x7f" + whole[-6:]
    yield "contents elsewhere", whole[:-6] + struct.pack("<I", 0) + whole[-2:]
    yield "overlap", _overlapping()
    table = int.from_bytes(whole[-6:-2], "little")
    for what, count, size, start in (
        ("zip64 of 2^60 files", 1 << 60, 1 << 60, 0),
        ("zip64 that begins behind itself", 1, 46, 1 << 62),
        (
            "zip64 over a sound end",
            int.from_bytes(whole[-12:-10], "little"),
            int.from_bytes(whole[-10:-6], "little"),
            table,
        ),
    ):
        yield what, _zip64(whole, count, size, start)
    yield "sizes told by zip64", whole.replace(whole[table + 20 : table + 28], b"\xff" * 8)
    yield "another size in front of a file", whole[:22] + b"\xff\xff\xff\x7f" + whole[26:]
    yield "another name in front of a file", whole[:30] + whole[30:31].lower() + whole[31:]
    yield (
        "a bomb within",
        _added(files, "documents/nested.zip", zipped({"a": bytes(9_000_000)}, compression=zipfile.ZIP_DEFLATED)),
    )
    yield "one name in two forms of Unicode", zipped(files | {"documents/\u00e9": b"1", "documents/e\u0301": b"2"})
    yield "one name in two cases", zipped(files | {"registry/Limits.toml": files["registry/limits.toml"]})
    yield "encrypted", whole.replace(b"PK\x01\x02\x14\x03\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\1\0", 1)


def days(files: Files, key: SigningKey, rows: int) -> Iterator[tuple[str, Files]]:
    """Bundles with a sealed day that no instrument measured, sealed and signed as if it were; ``rows`` of it are equal."""
    table = pq.read_table(io.BytesIO(files[DAY]))
    one = table.slice(0, 1)
    equal = one.take(pa.array([0] * 1_000_000))
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, equal.schema, compression="zstd") as writer:
        for _ in range(rows // 1_000_000):
            writer.write_table(equal)
    bomb = with_rows(files | {DAY: buffer.getvalue()}, DAY, {"reading": rows // 1_000_000 * 1_000_000})
    yield "equal rows", resealed(bomb, key)
    yield "equal rows in a day not sealed", resealed(files | {"provisional/2026-03-04.parquet": buffer.getvalue()}, key)
    yield "equal rows for hours", manifested(files | {"hours.parquet": buffer.getvalue()}, key)
    text = one.set_column(FIELDS.get_field_index("detail"), FIELDS.field("detail"), pa.array(["x" * 100_000_000]))
    yield "a text of 100 MB", resealed(files | {DAY: written(text)}, key)
    nested = pa.table({name: pa.array([[[1]]]) for name in FIELDS.names})
    yield "other columns", resealed(files | {DAY: written(nested)}, key)
    yield "no Parquet", resealed(files | {DAY: b"PAR1" + bytes(100) + b"PAR1"}, key)
    yield "no rows told", resealed(with_rows(files, DAY, {}), key)
    yield "cut", resealed(files | {DAY: files[DAY][:-100]}, key)
    footer = struct.unpack("<I", files[DAY][-8:-4])[0]
    yield "footer", resealed(files | {DAY: files[DAY][: -8 - footer] + bytes(footer) + files[DAY][-8:]}, key)
    yield "footer length", resealed(files | {DAY: files[DAY][:-8] + b"\xff\xff\xff\x7f" + files[DAY][-4:]}, key)


def written(table: pa.Table, **how: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", **how)
    return buffer.getvalue()


def _named(files: Files, name: str) -> bytes:
    """A zip with a file of a name that zipfile itself would mend."""
    stand_in = "documents/" + "z" * max(1, len(name.encode()) - 10)
    stand_in = stand_in[: len(name.encode())] if len(name.encode()) < len(stand_in) else stand_in
    return zipped(files | {stand_in: b"x"}).replace(stand_in.encode(), name.encode())


def _added(files: Files, name: str, content: bytes, mode: int = 0o644) -> bytes:
    """A bundle with one more file behind all others, which may be there already."""
    buffer = io.BytesIO(zipped(files))
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo("documents/" + "q" * (len(name) - 10) if len(name) > 10 else name, (1980, 1, 1, 0, 0, 0))
        info.external_attr = mode << 16
        archive.writestr(info, content)
        stand_in = info.filename
    return buffer.getvalue().replace(stand_in.encode(), name.encode())


def _zip64(whole: bytes, count: int, size: int, start: int) -> bytes:
    """The end of a zip as those of more than four gigabytes have it, whatever it tells."""
    there = len(whole) - 22
    end = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, there, 1)
    return (
        whole[:-22]
        + end
        + locator
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    )


def _overlapping(count: int = 2_000) -> bytes:
    """Many names for the same stored bytes."""
    content = bytes(1_000_000)
    check = zlib.crc32(content)
    local = (
        struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, check, len(content), len(content), 11, 0) + b"documents/0"
    )
    entries = b"".join(
        struct.pack(
            "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 33, check, len(content), len(content), 14, 0, 0, 0, 0, 0, 0
        )
        + b"documents/%04d" % n
        for n in range(count)
    )
    start = len(local) + len(content)
    return local + content + entries + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(entries), start, 0)
