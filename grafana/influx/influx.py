"""InfluxDB 1.8, 2 and 3 Core behind one face: write lines, ask, delete."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import urllib3
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from greenmine.grafana.influx.influx_schema import Precision
from greenmine.settings import Settings
from greenmine.times import iso

_POISONED: Final = {400, 413, 422}
"""Answers that lie in what was sent: sending it again is of no use."""
_SILENT: Final = {0, 502, 503, 504}
_DELETING: Final = 600.0
"""Longest time for a deletion, which may have to go through all of a bucket [s]."""


class InfluxError(Exception):
    """InfluxDB did not do what it was asked to."""


class UnavailableError(InfluxError):
    """It cannot now: not reachable, too slow, full, no permission, no such bucket. Later it may.

    Attributes
    ----------
    status : int
        Of the answer; 0 if there was none.
    """

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status

    @property
    def silent(self) -> bool:
        """Whether it does not answer, is starting, or stands behind a proxy that gets no answer."""
        return self.status in _SILENT


class RefusedError(InfluxError):
    """It will never take this as it is."""

    @property
    def retention(self) -> bool:
        """Whether only points older than the bucket keeps were left out; the others have been written."""
        return "beyond retention" in str(self)


class Tokens(msgspec.Struct, frozen=True):
    """Access to one bucket; with InfluxDB 1.8 both are ``user:password``. Empty: none is needed."""

    write: str = ""
    """May write, read and delete there."""
    read: str = ""
    """May read there."""


def tokens_file(settings: Settings) -> Path:
    """Where the buckets' tokens are kept."""
    return settings.influx_tokens or settings.data / "influx-tokens.json"


def load_tokens(settings: Settings) -> dict[str, Tokens]:
    """Tokens by bucket; none where there is no file.

    Raises
    ------
    InfluxError
        The file cannot be read, or is none of ours.
    """
    path = tokens_file(settings)
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Tokens])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise InfluxError(f"{path}: {error}; `greenmine influx provision` writes this file") from error


def save_tokens(settings: Settings, tokens: Mapping[str, Tokens]) -> None:
    """Write the file of tokens, readable by its owner only, whole or not at all."""
    path = tokens_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A temporary file begins with mode 0600.
    number, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(number, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(tokens), indent=2))
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)


def admin_token(settings: Settings) -> str:
    """The operator's token; empty if none is set."""
    return "" if settings.influx_admin_token is None else settings.influx_admin_token.get_secret_value()


class Influx:
    """A bucket's InfluxDB; holds its connection open.

    Parameters
    ----------
    settings : Settings
        Address, version, organisation, patience.
    token : str
        For all requests; empty: none is sent.
    """

    def __init__(self, settings: Settings, token: str) -> None:
        assert settings.influx_url is not None
        self.settings = settings
        self.url = settings.influx_url.rstrip("/")
        self.version = settings.influx_version
        patience = settings.influx_timeout_seconds
        trusted = None if settings.influx_ca is None else str(settings.influx_ca)
        self.client = InfluxDBClient(
            self.url,
            token,
            org=settings.influx_org,
            timeout=round(patience * 1000),
            auth_basic=self.version == "1" and bool(token),
            ssl_ca_cert=trusted,
        )
        self._write = self.client.write_api(SYNCHRONOUS)
        self._http = urllib3.PoolManager(timeout=patience, retries=False, ca_certs=trusted)
        self._headers = _authorization(self.version, token)

    def write(self, bucket: str, lines: Iterable[str], precision: Precision) -> None:
        """Write lines in one request.

        Raises
        ------
        UnavailableError
            Nothing, or a part, was written; writing it again does no harm.
        RefusedError
            Some of it will never be taken; the rest may have been written.
        """
        body = "\n".join(lines).encode("utf-8", "replace")
        try:
            self._write.write(bucket, record=body, write_precision=precision)  # type: ignore[arg-type]
        except ApiException as error:
            raise understood(error.status, error.body) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{self.url}: {error}") from error

    def ask(self, bucket: str | None, statement: str, *, patience: float | None = None) -> list[dict[str, Any]]:
        """Rows of one InfluxQL statement, times in ms.

        No rows means that InfluxDB said so: an answer without the statement's result, or with a part of it, is an error.

        Raises
        ------
        InfluxError
            `UnavailableError`, or `RefusedError` where the statement is at fault.
        """
        given = {"q": statement, "epoch": "ms", **({} if bucket is None else {"db": bucket})}
        body = self.request("POST", "/query", given, patience=patience)
        try:
            (result,) = body["results"]
            if "error" in result:
                missing = "not found" in result["error"]
                raise (UnavailableError(result["error"], 404) if missing else RefusedError(result["error"]))
            rows: list[dict[str, Any]] = []
            for part in result.get("series", ()):
                tags = part.get("tags", {})
                rows.extend({**tags, **dict(zip(part["columns"], v, strict=True))} for v in part.get("values", ()))
            whole = result["statement_id"] == 0 and not result.get("partial")
        except (KeyError, TypeError, ValueError):
            whole = False
        if not whole:
            raise UnavailableError(f"{self.url} gave no whole answer to a query: {str(body)[:200]}")
        return rows

    def request(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str] | None = None,
        *,
        content: Mapping[str, Any] | None = None,
        patience: float | None = None,
    ) -> dict[str, Any]:
        """A request outside the client's API; the JSON of the answer, empty if it has none.

        Raises
        ------
        InfluxError
            `UnavailableError`, or `RefusedError` where the request is at fault.
        """
        options: dict[str, Any] = {} if patience is None else {"timeout": patience}
        if content is not None:
            options["json"] = content
        elif fields is not None:
            options |= {"fields": fields, **({"encode_multipart": False} if method == "POST" else {})}
        try:
            # A copy: the client may add what belongs to this request only.
            answer = self._http.request(method, self.url + path, headers=dict(self._headers), **options)
            body = answer.data
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{self.url}: {error}") from error
        if answer.status >= 300:
            raise understood(answer.status, body)
        try:
            found: dict[str, Any] = json.loads(body) if body.strip() else {}
        except ValueError as error:  # from a proxy, or cut off
            raise UnavailableError(f"{self.url} answered no JSON: {body[:200]!r}") from error
        return found

    def delete(
        self, bucket: str, measurement: str, tags: Iterable[tuple[str, str]], start: int | None, end: int | None
    ) -> None:
        """Remove the points of a measurement with these tags, from ``start`` to ``end`` [ms UTC], both included.

        None: without a bound. InfluxDB 3 Core cannot delete points; there nothing happens.

        Raises
        ------
        InfluxError
            As `ask`.
        """
        if self.version == "3":
            return
        if self.version == "1":
            where = [f"\"{name}\" = '{_quoted(value)}'" for name, value in tags]
            where += [] if start is None else [f"time >= {start}ms"]
            where += [] if end is None else [f"time <= {end}ms"]
            condition = f" WHERE {' AND '.join(where)}" if where else ""
            statement = f'DELETE FROM "{measurement}"{condition}'
            self.ask(bucket, statement, patience=_DELETING)
            return
        # Keys are quoted: `limit` is a word of the predicate's language.
        predicate = " AND ".join(
            f'"{name}"="{value.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"'
            for name, value in [("_measurement", measurement), *tags]
        )
        # Its bounds are times with nanoseconds, and points lie on whole milliseconds or just behind them.
        first = "1678-01-01T00:00:00Z" if start is None else iso(start)
        last = "2262-01-01T00:00:00Z" if end is None else iso(end + 1)
        self.request(
            "POST",
            "/api/v2/delete?" + urlencode({"org": self.settings.influx_org, "bucket": bucket}),
            content={"start": first, "stop": last, "predicate": predicate},
            patience=_DELETING,
        )

    def close(self) -> None:
        """Close its connections."""
        self.client.close()
        self._http.clear()


def _authorization(version: str, token: str) -> dict[str, str]:
    if not token:
        return {}
    if version == "1":
        return {"Authorization": "Basic " + base64.b64encode(token.encode()).decode()}
    return {"Authorization": f"Token {token}"}


def understood(status: int, body: bytes | str | None) -> InfluxError:
    """The error that an answer of InfluxDB stands for, in its words."""
    said = body.decode(errors="replace") if isinstance(body, bytes) else body or ""
    try:
        answer = json.loads(said)
        said = str(answer.get("error") or answer.get("message") or said)
    except (ValueError, AttributeError):
        pass
    said = said.strip()[:500]
    if status in _POISONED:
        return RefusedError(said)
    hint = {401: ": the token is not valid", 403: ": the token has no right to it", 404: ""}.get(status, "")
    return UnavailableError(f"InfluxDB answered {status}{hint}: {said}", status)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
