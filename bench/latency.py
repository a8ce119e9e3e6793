"""From publish to commit, at rates the worker can keep up with."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from bench.collector import DEVICES, settings_for, topic
from bench.publisher import paced_publisher
from bench.table import Row
from bench.worker import worker
from greenmine.collector.mqtt.broker import start_broker

_RATES: Final = (100, 1_000, 5_000)
_SECONDS: Final = 6.0
_IDLE: Final = 10.0
"""Bound on the median while there is time between messages [ms]."""
_SLACK: Final = 20.0
"""Beyond the linger [ms]."""


def measure() -> Iterator[Row]:
    """The rows of this subject."""
    for rate in _RATES:
        latency, linger, idle = _latency(rate)
        p50, p99 = np.percentile(latency, [50, 99])
        what = f"publish to commit at {rate:,}/s"
        apart = 1000 / rate > idle
        yield Row(
            "latency",
            f"{what}, median",
            f"{p50:.1f} ms",
            f"{_IDLE:.0f} ms while idle enough",
            p50 / _IDLE,
            "<=" if apart else "",
            1.0 if apart else None,
        )
        bound = linger + _SLACK
        yield Row(
            "latency",
            f"{what}, 99 %",
            f"{p99:.1f} ms",
            f"linger + {_SLACK:.0f} = {bound:.0f} ms",
            p99 / bound,
            "<=",
            1.0,
        )


def _latency(rate: int) -> tuple[np.ndarray, float, float]:
    """Latencies [ms] after the first second, with linger and idle time [ms]."""
    topics = [topic(i) for i in range(DEVICES)]
    template = b'{"v":1,"time":%d,"values":{"laeq":55.1}}'
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        directory = Path(name)
        with start_broker(directory / "broker") as broker:
            settings = settings_for(directory, broker.port)
            total = int(rate * _SECONDS)
            with (
                worker(settings, total) as working,
                paced_publisher(broker.port, topics, template, rate, _SECONDS) as publishing,
            ):
                publishing.send("go")
                commits = working.recv()
                publishing.recv()
    return np.concatenate(commits.latency)[rate:], settings.linger_ms, settings.idle_ms
