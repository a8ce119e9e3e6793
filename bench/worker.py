"""The worker as it ships, in a process of its own, noting when its commits were durable."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import numpy as np
import structlog
from numpy.typing import NDArray

from greenmine.batch import Batch
from greenmine.cli import work
from greenmine.processing.engine import Outcome
from greenmine.record.writer import Beside, Pipeline
from greenmine.settings import Settings


@dataclass(slots=True)
class Commits:
    """Commits of a worker, in order.

    ``instant`` is when each was durable, ``first`` when the first message of it was received [s since 1970]; ``messages``
    and ``stored`` (readings) are counts; ``latency`` is from the time in each reading to its commit [ms]; ``busy`` is the CPU
    time of the process up to each of them [s].
    """

    instant: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)
    latency: list[NDArray[np.float64]] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)


@contextmanager
def worker(settings: Settings, messages: int) -> Iterator[Connection]:
    """Run the worker until it has committed so many messages.

    Yields a connection: receive the `Commits`. The worker is connected and subscribed when the block begins.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(there, settings, messages))
    process.start()
    there.close()
    try:
        assert here.recv() == "ready"
        yield here
    finally:
        process.terminate()
        process.join()


def _run(pipe: Connection, settings: Settings, messages: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    commits = Commits()
    stop = threading.Event()
    ready = threading.Event()

    class NotingPipeline(Pipeline):
        """The pipeline, with a note of each commit."""

        def commit(self, batch: Batch, now: int, beside: Beside | None = None) -> Outcome:
            outcome = super().commit(batch, now, beside)
            instant = time.time()
            commits.instant.append(instant)
            commits.busy.append(time.process_time())
            commits.first.append(float(batch.message_received.min()) / 1000)
            commits.messages.append(batch.messages)
            commits.stored.append(len(outcome.parts.fresh))
            commits.latency.append(instant * 1000 - batch.readings.time)
            if sum(commits.messages) >= messages:
                stop.set()
            return outcome

    class ReadySession(work.Session):
        """The session, telling when the broker has taken its subscription."""

        def _on_subscribe(self, *arguments: object) -> None:
            super()._on_subscribe(*arguments)  # type: ignore[arg-type]
            if not ready.is_set():
                ready.set()
                pipe.send("ready")

    work.Pipeline, work.Session = NotingPipeline, ReadySession  # type: ignore[misc]
    work.work(settings, stop)
    pipe.send(commits)
