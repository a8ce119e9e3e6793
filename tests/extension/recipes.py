"""The steps of docs/extend.md, carried out word by word on a copy of the source."""

from __future__ import annotations

import re
import shutil
import textwrap
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "extend.md"

_STEP = re.compile(
    r"(?:New file `(?P<new>[^`]+)`|In `(?P<file>[^`]+)`, (?P<where>before|after|in place of) `(?P<anchor>[^`]+)`):\n\n"
    r"(?P<block> *```\w+\n.*?\n *```)\n",
    re.DOTALL,
)


class Step(NamedTuple):
    """An edit: a new file, or a text before or after the one line that holds an anchor, or in the anchor's place."""

    path: str
    where: str
    anchor: str
    text: str


def blocks(heading: str, language: str) -> list[str]:
    """Printed texts in a language of a section, in its order."""
    found = re.findall(rf"^( *```{language}\n.*?\n *```)$", _section(heading), re.DOTALL | re.MULTILINE)
    return [_unfenced(block) for block in found]


def steps(heading: str) -> list[Step]:
    """Edits of a section of the page, in its order."""
    return [
        Step(found["new"] or found["file"], found["where"] or "new", found["anchor"] or "", _unfenced(found["block"]))
        for found in _STEP.finditer(_section(heading))
    ]


def _section(heading: str) -> str:
    return PAGE.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]


def _unfenced(block: str) -> str:
    return "\n".join(textwrap.dedent(block).splitlines()[1:-1]) + "\n"


def copied(folder: Path) -> Path:
    """Copy what the package consists of, and its tests."""
    packages = {path.name for path in (ROOT / "greenmine").iterdir() if path.is_symlink()} | {"greenmine", "tests"}
    for name in packages:
        ignored = shutil.ignore_patterns("cases", "*.png")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    return folder


def carry_out(step: Step, folder: Path) -> None:
    """Edit a file of the copy; an anchor must be there just once."""
    path = folder / step.path
    if step.where == "new":
        assert not path.exists()
        path.write_text(step.text, "utf-8")
        return
    text = path.read_text("utf-8")
    # An indented anchor begins its line: deeper lines that end alike are others.
    begin = "^" if step.anchor[0] == " " else ""
    places = [found.start() for found in re.finditer(begin + re.escape(step.anchor), text, re.MULTILINE)]
    assert len(places) == 1, f"{step.anchor!r} is {len(places)} times in {step.path}"
    (place,) = places
    if step.where == "in place of":
        edited = text.replace(step.anchor, step.text.removesuffix("\n"))
    else:
        line = text.rindex("\n", 0, place) + 1 if step.where == "before" else text.index("\n", place) + 1
        edited = text[:line] + step.text + text[line:]
    path.write_text(edited, "utf-8")
