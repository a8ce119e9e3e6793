"""``greenmine cluster trial``: servers are killed, all that was acknowledged is in the record, and nothing is left running."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from greenmine.cli.cluster import trial
from tests.nats_servers import nats_program
from tests.ports import free_port
from tests.records import need_postgresql
from tests.system.running import COMMAND, PATIENCE, Environment, until


def processes_in(folder: Path) -> list[str]:
    """Command lines that name a folder."""
    found = [one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"])]
    return [" ".join(words) for words in found if any(str(folder) in word for word in words)]


def counts(said: Callable[[], str]) -> list[tuple[int, int]]:
    """Messages of the log, and those counted in the record, whenever they were told."""
    return [(int(log), int(record)) for log, record in re.findall(r"messages: (\d+) in the log, (\d+) in the", said())]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that the user of PostgreSQL can enter, too."""
    with TemporaryDirectory(prefix="greenmine-trial-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def test_a_trial_survives_its_servers_and_leaves_nothing_running(
    environment: Environment, open_folder: Path, tmp_path: Path
) -> None:
    need_postgresql()
    program = nats_program()
    folder, output = open_folder / "trial", tmp_path / "said"
    variables = environment.variables({}) | {"PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [str(COMMAND), "cluster", "trial", str(folder), "--port", str(free_port()), "--days", "0.01"]
    with output.open("w") as file, subprocess.Popen(command, env=variables, stdout=file, stderr=file) as process:
        try:
            said = output.read_text

            def wait_for(text: str) -> None:
                until(lambda: process.poll() is not None or text in said(), text)
                assert process.poll() is None, said()[-2_000:]

            wait_for("Ctrl-C ends all of it")
            wait_for("record 2 ")
            until(lambda: any(record > 300 for _, record in counts(said)), "the first messages")
            for name in ("n2", "record 1"):
                pid = re.search(rf"^{name} +process (\d+)", said(), re.MULTILINE)
                assert pid is not None
                before = counts(said)[-1][1]
                os.kill(int(pid[1]), signal.SIGKILL)
                wait_for(f"{name} has ended")
                until(lambda before=before: counts(said)[-1][1] > before, "messages that came since")
            assert "record 2 has taken its place" in said()
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0, said()[-2_000:]
        finally:
            process.kill()
    log, record = counts(said)[-1]
    assert log == record
    assert processes_in(folder) == []


def test_a_trial_takes_no_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    nats_program()
    need_postgresql()
    with pytest.raises(SystemExit, match="is not empty"):
        trial(tmp_path)
