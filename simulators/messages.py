"""Messages: readings of a device in the payload that its profile speaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from greenmine.registry import Profile
from greenmine.simulators.clock import Clock
from greenmine.simulators.random_streams import Floats

_encoder: Final = msgspec.json.Encoder()

_NONE: Final[dict[str, str]] = {}

Time = int | str


class Message(msgspec.Struct, frozen=True, gc=False):
    """One MQTT message.

    Parameters
    ----------
    time_sent : int
        When the device publishes it [ms UTC].
    topic : str
        Topic.
    payload : bytes
        Payload.
    """

    time_sent: int
    topic: str
    payload: bytes


def topic(site: str, device: str, what: Literal["readings", "status"] = "readings") -> str:
    """Topic on which a device publishes."""
    return f"greenmine/v1/{site}/{device}/{what}"


def names(profile: Profile, parameters: Sequence[str]) -> list[str]:
    """Names of the parameters in the profile's payload."""
    spoken = {parameter: field for field, parameter in profile.fields.items()}
    return [spoken.get(parameter, parameter) for parameter in parameters]


def payloads(
    profile: Profile,
    parameters: Sequence[str],
    times: NDArray[np.int64],
    values: Floats,
    flags: NDArray[np.uint8],
    sequence: NDArray[np.int64],
    rows: int = 1,
) -> Iterator[bytes]:
    """Encode readings of a device, ``rows`` instants to a message.

    Parameters
    ----------
    profile : Profile
        Says format, zone, names and whether flags are sent.
    parameters : sequence of str
        Parameters of the k columns.
    times : int64 array (n,)
        Instants of measurement [ms UTC].
    values : float64 array (n, k)
        In the units that the device sends; NaN for none, which needs a flag other than N to be sent as null.
    flags : uint8 array (n, k)
        ASCII codes of the data flags.
    sequence : int64 array (m,)
        Number of each message, m = ceil(n / rows).
    rows : int
        Instants in a message; the last may hold fewer.

    Yields
    ------
    bytes
        One payload for each message, in order; in formats without flags, instants without a value are left out.
    """
    spoken = names(profile, parameters)
    cells = _cells(values)
    match profile.format:
        case "greenmine":
            stamps = _stamps(profile, times)
            letters = _letters(flags) if profile.sends_flags else None
            if rows == 1:
                yield from _single(spoken, stamps, cells, letters, sequence.tolist())
            else:
                yield from _batched(spoken, stamps, cells, letters, sequence.tolist(), rows)
        case "senml":
            units = [profile.units[parameter] for parameter in parameters]
            yield from _senml(spoken, units, times, cells, rows)
        case "thingsboard":
            yield from _thingsboard(spoken, times, cells, rows)
        case "mapped":
            raise ValueError(f"profile '{profile.id}' is mapped; what greenmine reads of such payloads it cannot write")


def _cells(values: Floats) -> list[list[float | None]]:
    if np.isfinite(values).all():
        return list(values.tolist())
    return [[None if cell != cell else cell for cell in row] for row in values.tolist()]  # noqa: PLR0124 (NaN)


def _letters(flags: NDArray[np.uint8]) -> list[str]:
    """The flags of each row as text, shape (n,) of k letters."""
    width = flags.shape[1]
    text = flags.tobytes().decode("ascii")
    return [text[at : at + width] for at in range(0, len(text), width)]


def _stamps(profile: Profile, times: NDArray[np.int64]) -> Sequence[Time]:
    """Milliseconds for a device that keeps UTC, else local time with its offset."""
    if profile.zone == "UTC":
        return list(times.tolist())
    offsets = Clock(profile.zone).offsets(times)
    local = np.datetime_as_string((times + offsets * 60_000).astype("datetime64[ms]"))
    suffixes = {int(o): f"{'-' if o < 0 else '+'}{abs(o) // 60:02d}:{abs(o) % 60:02d}" for o in np.unique(offsets)}
    return [
        text.removesuffix(".000") + suffixes[offset]
        for text, offset in zip(local.tolist(), offsets.tolist(), strict=True)
    ]


def _single(
    spoken: list[str],
    stamps: Sequence[Time],
    cells: list[list[float | None]],
    letters: list[str] | None,
    sequence: list[int],
) -> Iterator[bytes]:
    normal = "N" * len(spoken)
    for i, (number, stamp, row) in enumerate(zip(sequence, stamps, cells, strict=True)):
        body: dict[str, Any] = {"v": 1, "seq": number, "time": stamp, "values": dict(zip(spoken, row, strict=True))}
        if letters is not None:
            body["flags"] = _NONE if letters[i] == normal else dict(zip(spoken, letters[i], strict=True))
        yield _encoder.encode(body)


def _batched(
    spoken: list[str],
    stamps: Sequence[Time],
    cells: list[list[float | None]],
    letters: list[str] | None,
    sequence: list[int],
    rows: int,
) -> Iterator[bytes]:
    for number, at in zip(sequence, range(0, len(cells), rows), strict=True):
        part = slice(at, at + rows)
        columns = dict(zip(spoken, zip(*cells[part], strict=True), strict=True))
        body: dict[str, Any] = {"v": 1, "seq": number, "times": stamps[part], "columns": columns}
        if letters is not None:
            body["flags"] = dict(zip(spoken, map("".join, zip(*letters[part], strict=True)), strict=True))
        yield _encoder.encode(body)


def _senml(
    spoken: list[str], units: list[str], times: NDArray[np.int64], cells: list[list[float | None]], rows: int
) -> Iterator[bytes]:
    seconds = (times / 1000).tolist()
    for at in range(0, len(cells), rows):
        records: list[dict[str, Any]] = [
            {"n": name, "u": unit, "t": second, "v": value}
            for second, row in zip(seconds[at : at + rows], cells[at : at + rows], strict=True)
            for name, unit, value in zip(spoken, units, row, strict=True)
            if value is not None
        ]
        yield _encoder.encode(records)


def _thingsboard(
    spoken: list[str], times: NDArray[np.int64], cells: list[list[float | None]], rows: int
) -> Iterator[bytes]:
    stamps = times.tolist()
    for at in range(0, len(cells), rows):
        entries = [
            {"ts": stamp, "values": {name: value for name, value in zip(spoken, row, strict=True) if value is not None}}
            for stamp, row in zip(stamps[at : at + rows], cells[at : at + rows], strict=True)
        ]
        yield _encoder.encode(entries if rows > 1 else entries[0])
