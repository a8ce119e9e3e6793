"""The notifier as a process, killed between sending and noting it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from greenmine.notices.notices import Notices
from greenmine.notices.targets import Webhook
from notify.service import NotifierError, run
from tests.notify.notify_site import HOUR, START, Call, Mine, now, receiving, settings_of, until

MAIN = "from greenmine.command import main; main()"


def test_a_kill_between_sending_and_its_note_delivers_again_under_the_same_id(tmp_path: Path) -> None:
    mine = Mine(tmp_path)
    given = settings_of(tmp_path)
    killed = threading.Event()
    process: list[subprocess.Popen[bytes]] = []

    def answer(_: Call) -> tuple[int, dict[str, str], bytes]:
        if not killed.is_set():  # the message is here, and its sender dies before it learns so
            process[-1].send_signal(signal.SIGKILL)
            process[-1].wait()
            killed.set()
        return 200, {}, b""

    clean = {name: value for name, value in os.environ.items() if not name.startswith("GREENMINE_")}
    environment = clean | {
        "GREENMINE_DATA": str(tmp_path),
        "GREENMINE_NOTIFY_PRIVATE_NETWORKS": given.notify_private_networks,
    }

    def start() -> None:
        process.append(
            subprocess.Popen([sys.executable, "-c", MAIN, "notify"], env=environment, stderr=subprocess.PIPE)
        )

    notices = Notices(given)
    with receiving(answer) as receiver:
        subscription = notices.subscriptions.add(
            "hengjie", "test", Webhook(receiver.url), now(), events=["exceedance-opened"], author="li"
        )
        start()
        until(lambda: notices.outbox.serial() is not None, "a first look")
        mine.begin("hengjie")
        until(killed.is_set, "the message")
        mine.begin("hengjie", start=START + HOUR)
        start()
        until(
            lambda: (found := notices.subscriptions.get(subscription.id)) is not None and found.sent == 2, "both notes"
        )
        with pytest.raises(NotifierError, match="runs already"):
            run(given, threading.Event())
        process[-1].terminate()
        process[-1].communicate()
    notices.close()
    mine.engine.dispose()
    process[0].stderr.close()  # type: ignore[union-attr]
    identifiers = [call.headers["webhook-id"] for call in receiver.calls]
    assert len(identifiers) == 3
    assert identifiers[0] == identifiers[1] != identifiers[2]
    assert receiver.calls[0].body == receiver.calls[1].body
    assert [p.returncode for p in process] == [-signal.SIGKILL, 0]
    assert oct((tmp_path / "notices.sqlite").stat().st_mode & 0o777) == "0o600"
