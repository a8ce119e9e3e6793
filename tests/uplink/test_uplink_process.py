"""The uplink as a process, killed while it sends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

from greenmine.cli import app
from greenmine.cli.processes import Processes
from greenmine.cli.run import UPLINK as TASK
from greenmine.collector.hj212.document import describe
from greenmine.collector.hj212.frame import Framer
from greenmine.errors import StoreError
from greenmine.record.record import migrate, open_engine
from greenmine.settings import Settings
from greenmine.uplink.outbox import FILE, UplinkOutbox
from tests.hj212_platform import Platform
from tests.records import record_in, record_setting, record_variables
from tests.uplink.uplink_site import (
    DUST,
    HOUR,
    MINUTE,
    START,
    WORD,
    Mine,
    assert_complete,
    datatimes,
    missing,
    plan_of,
    until,
)

MAIN = "from greenmine.cli import main; main()"


@pytest.fixture
def mine(registry, tmp_path):
    engine = open_engine(record_in(tmp_path))
    migrate(engine)
    engine.dispose()
    return Mine(registry, tmp_path)


@pytest.fixture
def environment(registry_folder, tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GREENMINE_")}
    return clean | {
        "GREENMINE_DATA": str(tmp_path),
        "GREENMINE_REGISTRY": str(registry_folder),
        "GREENMINE_UPLINK": str(tmp_path / "uplink.toml"),
        "UPLINK_WORD": WORD,
        **record_variables(tmp_path),
    }


def start(environment, *arguments):
    command = [sys.executable, "-c", MAIN, *(arguments or ("uplink",))]
    return asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_kill_while_sending_loses_nothing(mine, environment, tmp_path):
    """Three kills, one of them between a report and its acknowledgement; the record grows meanwhile."""

    async def go():
        mine.live(START, START + 2 * HOUR, HOUR)
        mute = {START + 90 * MINUTE}
        manner = lambda message, _: "silent" if message.cn == "2011" and message.time in mute else "answer"  # noqa: E731
        async with Platform(manner) as platform:
            plan_of(tmp_path, platform.port)
            for count in (20, 60):
                process = await start(environment)
                await platform.until(lambda count=count: len(platform.arrivals) >= count)
                process.kill()
                assert await process.wait() == -signal.SIGKILL
            process = await start(environment)
            await platform.until(lambda: START + 90 * MINUTE in datatimes(platform, "2011"))
            process.kill()
            await process.wait()
            mute.clear()
            mine.live(START + 2 * HOUR, START + 3 * HOUR, HOUR)
            process = await start(environment)
            await until(lambda: not missing(mine, platform, START, START + 3 * HOUR))
            second = await start(environment)
            _, complaint = await second.communicate()
            process.terminate()
            await process.communicate()
            return platform, process.returncode, second.returncode, complaint.decode()

    platform, ended, refused, complaint = asyncio.run(go())
    assert (ended, refused) == (0, 1)
    assert "runs already" in complaint
    assert_complete(mine, platform, START, START + 3 * HOUR)
    firsts = list(dict.fromkeys(datatimes(platform, "2011")))
    assert firsts == list(range(START, START + 3 * HOUR, MINUTE))
    framer = Framer()
    documents = [describe(frame) for raw in platform.frames for frame in framer.feed(raw)]
    assert all(document.ok and not document.deviations for document in documents)


def test_status_shows_what_waits(mine, environment, tmp_path):
    async def go():
        mine.live(START, START + 5 * MINUTE)
        async with Platform(lambda message, _: "answer" if message.time == START else "silent") as platform:
            plan_of(tmp_path, platform.port, commands='["2011"]', overtime=60)
            process = await start(environment)
            outbox = UplinkOutbox(tmp_path / FILE, read_only=True)

            def told():
                try:
                    return any(state.connected and state.acknowledged for state in outbox.states(2**62))
                except StoreError:  # the process has not made it yet
                    return False

            await until(told)
            status = await start(environment, "status", "--format", "json")
            shown, _ = await status.communicate()
            text = await start(environment, "status")
            page, _ = await text.communicate()
            process.terminate()
            _, log = await process.communicate()
            outbox.close()
            return json.loads(shown)["uplink"], page.decode(), log.decode()

    (feed,), page, log = asyncio.run(go())
    assert (feed["feed"], feed["running"], feed["connected"]) == ("dust", True, True)
    assert (feed["acknowledged"], feed["waiting"], feed["oldest"]) == (1, 4, "2025-03-03T00:01:00+00:00")
    assert WORD not in log
    told = "Uplink dust: connected; 1 acknowledged; 4 reports wait, the oldest since 2025-03-03T00:01:00+00:00."
    assert told in " ".join(page.split())


def test_a_check_shows_what_would_be_sent_and_sends_nothing(environment, tmp_path, monkeypatch, capsys):
    plan_of(tmp_path, 1)
    for name in ("GREENMINE_DATA", "GREENMINE_REGISTRY", "GREENMINE_UPLINK", "UPLINK_WORD"):
        monkeypatch.setenv(name, environment[name])
    app(["uplink", "--check"], exit_on_error=False, result_action="return_value")
    shown = capsys.readouterr().out
    assert "MN=AABBCCDDEEFF001122334455" in shown
    assert "a34001 mine/south/tsp, 4 decimals" in shown
    assert WORD not in shown
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(("missing_name", "told"), [("GREENMINE_UPLINK", "names no plan"), ("", "no record")])
def test_the_command_says_what_it_lacks(environment, tmp_path, monkeypatch, missing_name, told):
    plan_of(tmp_path, 1)
    for name in ("GREENMINE_DATA", "GREENMINE_REGISTRY", "GREENMINE_UPLINK", "UPLINK_WORD"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.delenv(missing_name, raising=False)
    with pytest.raises(SystemExit, match=told):
        app(["uplink"], exit_on_error=False)


def test_run_refuses_to_start_with_a_faulty_plan(environment, tmp_path, monkeypatch):
    plan_of(tmp_path, 1, DUST.replace("pm10", "pm1"))
    for name in ("GREENMINE_DATA", "GREENMINE_REGISTRY", "GREENMINE_UPLINK", "UPLINK_WORD"):
        monkeypatch.setenv(name, environment[name])
    with pytest.raises(SystemExit, match="has no channel 'south/pm1'"):
        app(["run"], exit_on_error=False)


def test_a_process_of_run_sends_until_its_parent_ends(mine, registry_folder, tmp_path):
    (tmp_path / "word").write_text(WORD)
    settings = Settings(
        data=tmp_path,
        registry=registry_folder,
        uplink=tmp_path / "uplink.toml",
        _env_file=None,
        **record_setting(tmp_path),
    )

    async def go():
        mine.live(START, START + 5 * MINUTE)
        async with Platform() as platform:
            plan = plan_of(tmp_path, platform.port, commands='["2011"]')
            plan.write_text(plan.read_text().replace('password_env = "UPLINK_WORD"', 'password_file = "word"'))
            with Processes() as processes:
                process = processes.start("uplink", TASK, settings)
                await platform.until(lambda: len(platform.arrivals) == 5)
            return datatimes(platform, "2011"), process.exitcode

    times, code = asyncio.run(go())
    assert times == list(range(START, START + 5 * MINUTE, MINUTE))
    assert code == 0


def test_without_the_setting_nothing_is_sent():
    assert Settings(_env_file=None).uplink is None
