"""The notifier as a process, killed between sending and noting it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from greenmine.notify.service import NotifierError, run
from greenmine.notify.store import Notices
from greenmine.notify.targets import Webhook
from tests.notify.notify_site import HOUR, START, Call, Mine, notifying, now, receiving, settings_of, until
from tests.records import record_variables

MAIN = "from greenmine.cli.notify import notify; notify()"


def test_a_kill_between_sending_and_its_note_delivers_again_under_the_same_id(tmp_path: Path) -> None:
    mine = Mine(tmp_path)
    given = settings_of(tmp_path)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GREENMINE_")}
    environment = clean | {
        "GREENMINE_DATA": str(tmp_path),
        **record_variables(tmp_path),
        "GREENMINE_NOTIFY_PRIVATE_NETWORKS": given.notify_private_networks,
    }
    killed = threading.Event()

    def answer(_: Call) -> tuple[int, dict[str, str], bytes]:
        if not killed.is_set():  # the message is here, and its sender dies before it learns so
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed.set()
        return 200, {}, b""

    notices = Notices(given)
    with receiving(answer) as receiver:
        hook = Webhook(receiver.url)
        notices.subscriptions.add("hengjie", "test", hook, now(), events=["exceedance-opened"], author="li")
        process = subprocess.Popen([sys.executable, "-c", MAIN], env=environment, stderr=subprocess.PIPE)
        until(lambda: notices.outbox.serial() is not None, "a first look", 90)
        with pytest.raises(NotifierError, match="runs already"):
            run(given, threading.Event())
        mine.begin("hengjie")
        until(killed.is_set, "the message")
        process.communicate()
        mine.begin("hengjie", start=START + HOUR)
        with notifying(given):
            until(lambda: notices.subscriptions.all()[0].sent == 2, "both notes")
    notices.close()
    mine.engine.dispose()
    assert process.returncode == -signal.SIGKILL
    identifiers = [call.headers["webhook-id"] for call in receiver.calls]
    assert len(identifiers) == 3
    assert identifiers[0] == identifiers[1] != identifiers[2]
    assert receiver.calls[0].json["subject"] == receiver.calls[1].json["subject"]
    assert (tmp_path / "notices.sqlite").stat().st_mode & 0o777 == 0o600
