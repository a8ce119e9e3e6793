"""Everything that is refused, rejected or concluded in English has its Chinese sentence."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from greenmine.wording.sentences import CATALOGUE, chinese_sentence

ROOT = Path(__file__).parents[3]
FINDINGS = {"DoctorFinding": (2, 3), "LogFault": (0, 1)}
"""Likewise of more than one."""
TOLD = {"Problem": 1, "LoggerFileError": 0, "RefusedError": 1, "refuse": 1, "faults.append": 0}
"""Calls with a sentence that a person may read, and which argument it is."""
FOLDERS = ("api/http", "api/pages", "api/live", "collector/files", "collector/payloads", "collector/hj212/server")
SOURCES = {path: TOLD for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")} | {
    ROOT / path: TOLD | {"ValueError": 0} for path in (
        "api/accounts/caller.py", "api/accounts/shares.py", "api/accounts/tokens.py", "api/accounts/users.py",
        "api/editing.py", "greenmine/resolution.py", "greenmine/tables.py", "record/uploads.py",
        "notify/subscriptions.py", "notify/targets.py", "greenmine/times.py",
        "api/pages/registry_pages.py", "api/http/arguments.py",
    )
}  # fmt: skip


def _sentences(source: str, calls: Mapping[str, int], named: str = "detail") -> Iterator[str]:
    """Sentences of such calls, and of names that are given to them, with a sign for what is filled in."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        told: ast.expr | None = None
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name == "append":
                name = f"{ast.unparse(node.func.value)[-6:]}.append".removeprefix("_")  # type: ignore[attr-defined]
            told = node.args[calls[name]] if name in calls and len(node.args) > calls[name] else None
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == named:
            told = node.value
        if isinstance(told, ast.Constant):
            yield told.value
        elif isinstance(told, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "∎" for part in told.values)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_person_may_read_has_a_chinese_sentence(path: Path) -> None:
    told = [
        sentence for sentence in _sentences(path.read_text("utf-8"), SOURCES[path]) if re.search(r"[a-z]{2}", sentence)
    ]
    assert [sentence for sentence in told if chinese_sentence(sentence) is None] == []


@pytest.mark.parametrize("path", ["cli/doctor.py", "collector/jetstream/inspection.py"])
def test_what_the_doctor_finds_has_a_chinese_sentence(path: str) -> None:
    source = (ROOT / path).read_text("utf-8")
    told = {text for k in (0, 1) for text in _sentences(source, {name: at[k] for name, at in FINDINGS.items()}, "what")}
    assert len(told) > 10
    assert [text for text in told if re.search(r"[a-z]{2}", text) and chinese_sentence(text) is None] == []


def test_a_sentence_and_its_translation_name_the_same_things() -> None:
    names = re.compile(r"\{\w+\}")
    for table in tomllib.loads(CATALOGUE.read_text("utf-8")).values():
        for english, chinese in table.items():
            assert set(names.findall(chinese)) <= set(names.findall(english)), english


@pytest.mark.parametrize(
    ("sentence", "chinese"),
    [
        ("log.csv: column 'PM' says 'ug', which may be a unit and is none that is known; give --unit",
         "log.csv：'PM' 列的 'ug' 像是单位，但不认识；请用 --unit 指定"),
        ("there are no rows of data; 3 rows left out: time not readable (first in line 2)",
         "没有数据行；略去 3 行：时间读不出（首见第 2 行）"),
        ("yanjing/boundary/pm10: null needs a flag other than N that says why",
         "yanjing/boundary/pm10：空值须有 N 以外的标记说明原因"),
        ("url: an address such as https://example.org/hook would be right - at `$.target`",
         "`$.target` 处：请填写 https://example.org/hook 这样的网址"),
        ("sites/x.toml: 'targets' is not a key here; nearest: 'stages'",
         "sites/x.toml：这里没有 'targets' 这一项；相近的有 'stages'"),
        ("sites/x.toml: is not valid TOML: Invalid value (at line 3, column 5)",
         "sites/x.toml：不是正确的 TOML（第 3 行第 5 列）：这里的值不正确"),
        ("body: Object missing required field `reason`", "提交的内容：缺少必填项 `reason`"),
    ],
)  # fmt: skip
def test_a_sentence_in_a_sentence_is_translated_too(sentence: str, chinese: str) -> None:
    assert chinese_sentence(sentence) == chinese


def test_a_sentence_of_very_many_colons_is_not_looked_at_colon_by_colon() -> None:
    assert chinese_sentence("a: " * 5 + "no row has a time and a value") is not None
    assert chinese_sentence("a: " * 500 + "no row has a time and a value") is None
