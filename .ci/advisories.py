"""Answer queries as OSV's interface does, from a folder of advisories in OSV's form: a copy of the PyPA's or of GitHub's database.

Prints port, number of advisories on packages of PyPI, and the day of the newest change among them; ends with its standard input.
"""

# ruff: noqa: INP001 - a script
from __future__ import annotations

import json
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


def read(folder: Path) -> tuple[dict[str, list[dict[str, Any]]], str]:
    """Advisories by package of PyPI, and when any was last changed."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    newest = ""
    for path in sorted(folder.rglob("*")):
        if path.suffix not in {".json", ".yaml", ".yml"} or b"PyPI" not in (text := path.read_bytes()):
            continue
        told = json.loads(text) if path.suffix == ".json" else yaml.load(text, yaml.CBaseLoader)  # noqa: S506 - it makes nothing but texts
        newest = max(newest, str(told.get("modified", ""))[:10])
        for name in {canonicalize_name(each["name"]) for each in _packages(told)}:
            found[name].append(told)
    return found, newest


def affects(advisory: dict[str, Any], name: str, version: Version) -> bool:
    """Whether a version is among those listed, or lies in a range."""
    return any(
        any(_is(text, version) for text in affected.get("versions", ()))
        or any(_within(each["events"], version) for each in affected.get("ranges", ()) if each["type"] == "ECOSYSTEM")
        for affected in advisory.get("affected", ())
        if affected.get("package", {}).get("ecosystem") == "PyPI"
        and canonicalize_name(affected["package"]["name"]) == name
    )


def _packages(advisory: dict[str, Any]) -> list[dict[str, Any]]:
    packages = [affected.get("package", {}) for affected in advisory.get("affected", ())]
    return [package for package in packages if package.get("ecosystem") == "PyPI"]


def _within(events: list[dict[str, str]], version: Version) -> bool:
    inside = False
    for kind, text in sorted((item for event in events for item in event.items()), key=lambda item: Version(item[1])):
        bound = Version(text)
        if kind == "introduced" and version >= bound:
            inside = True
        elif (kind == "fixed" and version >= bound) or (kind == "last_affected" and version > bound):
            inside = False
    return inside


def _is(text: str, version: Version) -> bool:
    try:
        return Version(text) == version
    except InvalidVersion:
        return False


def main(folder: Path) -> None:
    """Answer until nobody wants more."""
    known, newest = read(folder)

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, version = canonicalize_name(query["package"]["name"]), Version(query["version"])
            told = [one for one in known.get(name, ()) if affects(one, name, version)]
            content = json.dumps({"vulns": told} if told else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    count = len({one["id"] for some in known.values() for one in some})
    sys.stdout.write(f"{server.server_port} {count} {newest or 'never'}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
