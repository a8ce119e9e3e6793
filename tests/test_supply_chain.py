"""What is done about packages and images of others: advisories that are looked up in a folder, and images named by digest."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent

RANGES = """
id: PYSEC-1
modified: '2026-03-04T05:06:07Z'
affected:
- package: {name: Some.Package, ecosystem: PyPI}
  ranges:
  - type: ECOSYSTEM
    events: [{introduced: '2.0'}, {fixed: '2.3'}, {introduced: '0'}, {fixed: '1.5'}]
"""
LISTED = {
    "id": "GHSA-2",
    "modified": "2026-01-01T00:00:00Z",
    "affected": [
        {"package": {"name": "some-package", "ecosystem": "npm"}, "versions": ["9.0"]},
        {
            "package": {"name": "some-package", "ecosystem": "PyPI"},
            "versions": ["3.0"],
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "3.1"}, {"last_affected": "3.4"}]}],
        },
    ],
}


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """What the server of advisories says at its start."""
    folder = tmp_path_factory.mktemp("advisories")
    (folder / "deep").mkdir()
    (folder / "deep/PYSEC-1.yaml").write_text(RANGES)
    (folder / "GHSA-2.json").write_text(json.dumps(LISTED))
    (folder / "README.md").write_text("PyPI")
    command = [sys.executable, str(ROOT / ".ci/advisories.py"), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()
        process.communicate()


def test_a_folder_of_advisories_tells_how_many_and_how_old(answering: list[str]) -> None:
    assert answering[1:] == ["2", "2026-03-04"]


@pytest.mark.parametrize(
    ("name", "version", "found"),
    [
        ("some-package", "1.4.9", ["PYSEC-1"]),
        ("Some_Package", "1.5", []),
        ("some-package", "2.0", ["PYSEC-1"]),
        ("some-package", "2.3rc1", ["PYSEC-1"]),
        ("some-package", "2.3", []),
        ("some-package", "3.0.0", ["GHSA-2"]),
        ("some-package", "3.4", ["GHSA-2"]),
        ("some-package", "3.4.1", []),
        ("some-package", "9.0", []),
        ("other", "1.0", []),
    ],
)
def test_a_version_is_looked_up_among_ranges_and_lists(
    answering: list[str], name: str, version: str, found: list[str]
) -> None:
    query = json.dumps({"package": {"name": name, "ecosystem": "PyPI"}, "version": version}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{answering[0]}/v1/query", query) as answer:
        assert [one["id"] for one in json.load(answer).get("vulns", ())] == found


def test_images_are_pinned_by_digest_and_again_after_a_change(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/pin-images", tmp_path / ".ci")
    for name in ("docker-compose.yml", "Dockerfile"):
        shutil.copy(ROOT / name, tmp_path)
    asked = tmp_path / "skopeo"  # a registry cannot be reached: it says a digest of the name
    asked.write_text('#!/bin/sh\necho "$4" >>"$0.log"\nprintf "sha256:$DIGIT%063d\\n" 0\n')
    asked.chmod(0o755)
    before = yaml.safe_load((tmp_path / "docker-compose.yml").read_text())["services"]
    bases = re.findall(r"^FROM (\S+)", (tmp_path / "Dockerfile").read_text(), re.MULTILINE)
    for digit in "ab":
        environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DIGIT": digit}
        subprocess.run([tmp_path / ".ci/pin-images"], env=environment, check=True, capture_output=True)
        suffix = f"@sha256:{digit}{0:063d}"
        after = yaml.safe_load((tmp_path / "docker-compose.yml").read_text())["services"]
        for service, told in before.items():
            own = told["image"].startswith("greenmine")
            assert after[service]["image"] == told["image"] + ("" if own else suffix)
            assert {k: v for k, v in after[service].items() if k != "image"} == {
                k: v for k, v in told.items() if k != "image"
            }
        now = re.findall(r"^FROM (\S+)", (tmp_path / "Dockerfile").read_text(), re.MULTILINE)
        assert now == [base + suffix for base in bases]
    names = (tmp_path / "skopeo.log").read_text()
    assert "docker://docker.io/library/nginx:" in names
    assert "docker://docker.io/grafana/grafana:" in names
