"""What docs/extend.md prints for a page and for a channel is enough: carried out on a copy of the source, it works there."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from sqlalchemy import Engine

from greenmine.loading import load_registry
from tests.api.filling import LOUD, add_exceedance, fill
from tests.api.signing import browser, now
from tests.extension.recipes import carry_out, copied, steps
from tests.notify.notify_site import Receiver, receiving, until
from tests.records import record_in

RECIPES = ("A page", "A channel of notification")


class Extended(NamedTuple):
    source: Path
    engine: Engine
    client: httpx.Client
    """An administrator's browser."""


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extended]:
    """A copy of the source with page and channel, and what it serves of a filled record."""
    source = copied(tmp_path_factory.mktemp("source"))
    for heading in RECIPES:
        for step in steps(heading):
            carry_out(step, source)
    data = tmp_path_factory.mktemp("data")
    engine = fill(record_in(data), load_registry(), now())
    command = [sys.executable, "-m", "tests.extension.copy_server", str(data)]
    variables = os.environ | {"PYTHONPATH": str(source)}
    with subprocess.Popen(
        command, cwd=source, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        assert address, "the copy does not start"
        with browser(address, data, "boss", "administrator") as client:
            yield Extended(source, engine, client)
        server.communicate()
    engine.dispose()
    assert server.returncode == 0


def test_the_steps_are_found() -> None:
    assert [len(steps(heading)) for heading in RECIPES] == [11, 10]


@pytest.mark.parametrize(("language", "words"), [("zh", ("设备", "今日入库读数")), ("en", ("Devices", "stored today"))])
def test_a_page_is_served(extended: Extended, language: str, words: tuple[str, ...]) -> None:
    answer = extended.client.get(f"/sites/{LOUD}/devices", headers={"Accept-Language": language})
    assert answer.status_code == 200
    assert [word for word in (*words, ">boundary-dust<", ">8640<") if word not in answer.text] == []
    assert f'href="/sites/{LOUD}/devices"' in extended.client.get(f"/sites/{LOUD}").text
    assert extended.client.get("/sites/nowhere/devices").status_code == 404


def test_both_languages_have_the_same_texts(extended: Extended) -> None:
    zh, en = (
        tomllib.loads((extended.source / "api" / "messages" / f"{language}.toml").read_text("utf-8"))
        for language in ("zh", "en")
    )
    assert zh["devices"].keys() == en["devices"].keys()
    assert {"devices"} <= zh["nav"].keys() & en["nav"].keys()
    assert {"kind-ntfy", "about-ntfy"} <= zh["notify"].keys() & en["notify"].keys()


def test_a_channel_has_a_form_and_tells_of_an_exceedance(extended: Extended) -> None:
    registry = load_registry()
    rule = next(rule for rule in registry.rules if rule.site == LOUD and rule.limit.kind == "legal")
    form = extended.client.get("/notifications?kind=ntfy").text
    assert 'name="url"' in form
    csrf = form.partition('name="csrf" value="')[2].partition('"')[0]
    with receiving() as receiver:
        given = {"csrf": csrf, "kind": "ntfy", "name": "值班电话", "events": "exceedance-opened", "language": "zh"}
        wrong = extended.client.post("/notifications", data=given | {"url": "ftp://example.org/topic"})
        assert (wrong.status_code, "ntfy.example.org" in wrong.text) == (400, True)
        made = extended.client.post("/notifications", data=given | {"url": receiver.url})
        assert made.status_code == 200, made.text
        add_exceedance(extended.engine, rule, now(), now())
        until(lambda: receiver.calls, "a message")
        assert registry.site(LOUD).name_zh in _text(receiver)


def _text(receiver: Receiver) -> str:
    assert receiver.calls[0].headers["content-type"] == "text/plain; charset=utf-8"
    return receiver.calls[0].body.decode()
