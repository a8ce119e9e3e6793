"""A server that keeps the documented semantics of InfluxDB 2.9's management API, with hashed tokens.

It knows organisations, buckets (paged, names unique), authorizations (the token is told once, when it is made) and DBRP mappings
(virtual ones for buckets without an explicit one). It stores no points.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

OPERATOR = "operator-token"
ORG = {"id": "00000000000000aa", "name": "greenmine"}


class Api:
    """State of the server; ``changes`` are the requests that were to change something."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.buckets: dict[str, dict[str, Any]] = {}
        self.authorizations: dict[str, dict[str, Any]] = {}
        self.mappings: dict[str, dict[str, Any]] = {}
        self.changes: list[str] = []
        self.starting = 0
        """So many requests are still answered that the server is starting."""
        self.url = ""

    def number(self) -> str:
        return f"{next(self._numbers):016x}"

    def add_bucket(self, name: str, seconds: int = 0) -> dict[str, Any]:
        rules = [{"type": "expire", "everySeconds": seconds, "shardGroupDurationSeconds": 604_800}]
        bucket = {"id": self.number(), "orgID": ORG["id"], "type": "user", "name": name, "retentionRules": rules}
        self.buckets[bucket["id"]] = bucket
        return bucket

    def bearer(self, token: str) -> set[str] | None:
        """Buckets that a token may read; None if it is not valid."""
        if token == OPERATOR:
            return set(self.buckets)
        for authorization in self.authorizations.values():
            if authorization["token"] == token and authorization["status"] == "active":
                return {p["resource"]["id"] for p in authorization["permissions"] if p["action"] == "read"}
        return None

    def answer(self, method: str, path: str, given: dict[str, str], body: Any, token: str) -> tuple[int, Any]:
        if self.starting:
            self.starting -= 1
            return 503, {"status": "starting"}
        readable = self.bearer(token)
        if readable is None:
            return 401, {"code": "unauthorized", "message": "unauthorized access"}
        if method != "GET":
            self.changes.append(f"{method} {path}")
            if token != OPERATOR:
                return 401, {"code": "unauthorized", "message": f"{method} is unauthorized"}
        kind, _, number = path.removeprefix("/api/v2/").partition("/")
        handler = getattr(self, f"{method.lower()}_{kind}", None)
        if handler is None:
            return 404, {"code": "not found", "message": "path not found"}
        status, answer = handler(number, given, body)
        if kind == "buckets" and method == "GET":
            answer = {**answer, "buckets": [b for b in answer["buckets"] if b["id"] in readable]}
        return status, answer

    def get_orgs(self, _number: str, given: dict[str, str], _body: Any) -> tuple[int, Any]:
        if given.get("org", ORG["name"]) != ORG["name"]:
            return 404, {"code": "not found", "message": f'organization name "{given["org"]}" not found'}
        return 200, {"orgs": [ORG]}

    def get_buckets(self, _number: str, given: dict[str, str], _body: Any) -> tuple[int, Any]:
        if given.get("org", ORG["name"]) != ORG["name"]:
            return 404, {"code": "not found", "message": "organization not found"}
        found = [
            b
            for b in self.buckets.values()
            if given.get("name", b["name"]) == b["name"] and b["id"] > given.get("after", "")
        ]
        first, limit = int(given.get("offset", 0)), int(given.get("limit", 20))
        page = found[first : first + limit]
        links = {"self": "/api/v2/buckets", **({"next": "/api/v2/buckets"} if len(page) == limit else {})}
        return 200, {"buckets": page, "links": links}

    def post_buckets(self, _number: str, _given: dict[str, str], body: Any) -> tuple[int, Any]:
        if any(b["name"] == body["name"] for b in self.buckets.values()):
            return 422, {"code": "conflict", "message": f"bucket with name {body['name']} already exists"}
        return 201, self.add_bucket(body["name"], body["retentionRules"][0]["everySeconds"])

    def patch_buckets(self, number: str, _given: dict[str, str], body: Any) -> tuple[int, Any]:
        if number not in self.buckets:
            return 404, {"code": "not found", "message": "bucket not found"}
        self.buckets[number]["retentionRules"] = body["retentionRules"]
        return 200, self.buckets[number]

    def get_authorizations(self, _number: str, given: dict[str, str], _body: Any) -> tuple[int, Any]:
        assert given["orgID"] == ORG["id"]
        return 200, {"authorizations": [{**a, "token": "REDACTED"} for a in self.authorizations.values()]}

    def post_authorizations(self, _number: str, _given: dict[str, str], body: Any) -> tuple[int, Any]:
        if any(p["resource"]["id"] not in self.buckets for p in body["permissions"]):
            return 404, {"code": "not found", "message": "bucket not found"}
        number = self.number()
        made = {"status": "active", **body, "id": number, "orgID": ORG["id"], "token": f"secret-{number}"}
        self.authorizations[number] = made
        return 201, made

    def delete_authorizations(self, number: str, _given: dict[str, str], _body: Any) -> tuple[int, Any]:
        del self.authorizations[number]
        return 204, None

    def get_dbrps(self, _number: str, given: dict[str, str], _body: Any) -> tuple[int, Any]:
        explicit = list(self.mappings.values())
        virtual = [
            {"id": b["id"], "orgID": ORG["id"], "bucketID": b["id"], "database": b["name"], "retention_policy": "autogen",
             "default": True, "virtual": True}
            for b in self.buckets.values() if all(m["bucketID"] != b["id"] for m in explicit)
        ]  # fmt: skip
        return 200, {"content": [m for m in explicit + virtual if given.get("db", m["database"]) == m["database"]]}

    def post_dbrps(self, _number: str, _given: dict[str, str], body: Any) -> tuple[int, Any]:
        number = self.number()
        self.mappings[number] = {**body, "id": number, "virtual": False}
        return 201, self.mappings[number]

    def delete_dbrps(self, number: str, given: dict[str, str], _body: Any) -> tuple[int, Any]:
        assert given["orgID"] == ORG["id"]
        del self.mappings[number]
        return 204, None


@contextmanager
def influx_api() -> Iterator[Api]:
    """A running server."""
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            address = urlsplit(self.path)
            given = {name: values[0] for name, values in parse_qs(address.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = (self.headers.get("Authorization") or "").removeprefix("Token ")
            status, answer = api.answer(self.command, address.path, given, json.loads(body) if body else None, token)
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = serve  # noqa: N815 - the names that the server calls

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
