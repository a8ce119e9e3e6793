"""The worker as a process of its own: collector, processing, record."""

from __future__ import annotations

import gc
import math
import os
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import msgspec
import structlog

from greenmine import times
from greenmine.collector.gate import Gate
from greenmine.collector.hj212.server.columns import FrameBuilder
from greenmine.collector.hj212.server.loggers import load_loggers
from greenmine.collector.hj212.server.server import LoggerServer
from greenmine.collector.hj212.server.thread import ServerThread
from greenmine.collector.intake import LogPlace, Message
from greenmine.collector.jetstream.log_intake import LogIntake
from greenmine.collector.mqtt.session import Session
from greenmine.collector.mqtt.subscription import TopicSubscriptions
from greenmine.collector.payloads.reasons import Reason
from greenmine.collector.payloads.server_clock import AGREE
from greenmine.errors import ListenError, StoreError
from greenmine.loading import load_registry
from greenmine.record import retry, schema
from greenmine.record.log_positions import LogReader, SupersededError
from greenmine.record.loggers import LoggerRecord
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.refused import RefusedRoom, sent_today
from greenmine.record.rows import WorkerRow
from greenmine.record.status import LoggerServerStatus, WorkerStatus
from greenmine.record.suggestions import Suggestions
from greenmine.record.uploads import UploadDesk
from greenmine.record.writer import Beside, Pipeline
from greenmine.registry import Registry
from greenmine.routes import filters, routes
from greenmine.settings import Settings
from greenmine.topics import FRAMES

NAME: Final = "worker"
"""Name of the worker in the record; there is one for a partition of sites."""

PARTITION: Final = 0
"""Of the log; there is one."""
_WAIT: Final = 60.0
"""How often windows of silent channels are looked at [s]."""
_STATUS: Final = 2.0
"""How often the worker says how it is [s]."""
STEPS: Final = 0.03
"""How long figures are restated, between two commits [s]."""
_AGAIN: Final = 200
"""Rejected messages taken in again at once."""
_TURN: Final = 0.2
"""How often the clock is looked at where nothing comes from a broker [s]."""

_log = structlog.get_logger(__name__)


def work(settings: Settings, stop: threading.Event) -> None:
    """Collect and process until ``stop`` is set.

    Raises
    ------
    SystemExit
        With the reason, if the port for data loggers cannot be listened on, or another worker has taken over the log.
    """
    pipeline = _pipeline(settings, stop)
    registry, record, causes = pipeline.registry, pipeline.record, Suggestions(pipeline.record)
    gate = _gate(registry, record, settings)
    logger_record = LoggerRecord(
        pipeline, catchup_hours=settings.hj212_catchup_hours, frame_days=settings.hj212_frame_days
    )
    uploads, builder = UploadDesk(pipeline, settings.uploads), _builder(registry, settings)
    # Whatever receives, one thread alone writes the record: this one, or where loggers come in as well, one for both.
    writer = ThreadPoolExecutor(1, "record")
    loggers = None
    if settings.hj212_port is not None:
        loggers = ServerThread(LoggerServer(registry, settings, logger_record, writer, stop, gate), stop)
    elif settings.jetstream is None and any(device.mn for site in registry.sites for device in site.devices):
        _log.warning("there are data loggers in the registry and no port for them; set GREENMINE_HJ212_PORT")
    # Where all devices are data loggers there need be no broker.
    alone = (
        loggers is not None
        and settings.jetstream is None
        and all(device.mn for site in registry.sites for device in site.devices)
    )
    broker = "" if alone else settings.jetstream or f"{settings.broker_host}:{settings.broker_port}"
    written = _at_once if loggers is None else partial(_handed_over, writer)
    started = times.now()
    due = {"wait": time.monotonic() + _WAIT, "status": 0.0, "work": 0.0}

    def handle(messages: list[Message], beside: Beside | None) -> None:
        for message in messages:
            builder.add(
                message.topic, message.payload, message.received, retained=message.retained, excess=message.excess
            )
        written(logger_record.commit, builder.deliver(), times.now(), beside)

    refused = False

    def tick() -> None:
        nonlocal refused
        clock = time.monotonic()
        try:
            if clock >= due["wait"]:
                due["wait"] = clock + _WAIT
                written(pipeline.wait, times.now(), builder.clock.leapt())
            if clock >= due["work"]:
                # While there is something to restate every other moment is left to readings.
                due["work"] = clock + _STATUS
                _take_again(record, builder, partial(written, logger_record.commit))
                while any(written(desk.carry_on, times.now()) for desk in (pipeline, uploads, causes)):
                    if time.monotonic() > clock + STEPS:
                        due["work"] = time.monotonic() + STEPS
                        break
            if clock >= due["status"]:
                due["status"] = clock + _STATUS
                written(_say, record, _status(settings, session, builder, broker, started, registry.digest, loggers))
                written(pipeline.keep, times.now())
                if loggers is not None:
                    written(logger_record.look_after, times.now())
                refused = False
        except StoreError as error:
            if not refused:  # said once, not every two seconds until somebody makes room
                _log.error("the record takes nothing; trying again", error=str(error))
            refused = True

    session = _session(settings, registry, record, handle, stop, tick, gate)
    _begin_collecting()
    _receive(session.run if broker else partial(_keep_ticking, stop, tick), loggers, writer)
    pipeline.keep(times.now(), everything=True)


def _builder(registry: Registry, settings: Settings) -> FrameBuilder:
    """What decodes messages; frames of data loggers come from a log only."""
    loggers = {} if settings.jetstream is None else load_loggers(registry, settings, admitting=False)
    return FrameBuilder(registry, settings, loggers=loggers)


def _session(
    settings: Settings,
    registry: Registry,
    record: Record,
    handle: Callable[[list[Message], Beside | None], None],
    stop: threading.Event,
    tick: Callable[[], None],
    gate: Gate,
) -> Session | LogIntake:
    """What receives: from the log where there is one, else from the broker."""
    if settings.jetstream is None:
        return Session(
            settings, lambda messages: handle(messages, None), stop, tick, _subscriptions(settings, registry), gate
        )
    reader = LogReader(record, PARTITION, f"{socket.gethostname()}:{os.getpid()}")

    def handle_place(messages: list[Message], place: LogPlace) -> None:
        handle(messages, lambda connection, _: reader.store(connection, place))

    wanted = (*filters(routes(registry)), FRAMES.format(site="+", device="+"))
    return LogIntake(settings, handle_place, stop, reader.place, tick, wanted, gate)


def _begin_collecting() -> None:
    """Look for garbage from now on; what was made at the start stays, so no collection need go through it between two commits."""
    gc.freeze()
    gc.enable()


def _pipeline(settings: Settings, stop: threading.Event) -> Pipeline:
    gc.disable()  # hardly anything that a start makes is garbage
    registry = load_registry(settings.registry)
    engine = open_engine(settings.record_place, owner=NAME)
    migrate(engine)
    record = Record(engine, registry, settings.archive_place)

    def begin() -> Pipeline:
        return Pipeline(
            registry,
            record,
            lateness=settings.lateness_hours * 60,
            grace=math.ceil(settings.grace_seconds / 60),
            silent_minutes=settings.silent_minutes,
            now=times.now(),
            room=RefusedRoom(
                registry, settings.device_rejections, settings.device_rejected_bytes, settings.rejection_bytes
            ),
            checkpoint=settings.data / "rings.checkpoint",
            checkpoint_seconds=settings.checkpoint_seconds,
        )

    while True:
        try:
            return begin()
        except StoreError as error:  # the start itself notes something, and the disk may be full
            _log.error("the record takes nothing; trying again", error=str(error))
            if stop.wait(_STATUS):
                raise SystemExit(0) from None


def _gate(registry: Registry, record: Record, settings: Settings) -> Gate:
    """The devices' budgets, less what they sent earlier on this day."""
    gate = Gate(registry, settings)
    now = times.now()
    for site, device, messages, readings in sent_today(record, registry, now):
        gate.restore(site, device, messages, readings, now)
    return gate


def _receive(run: Callable[[], None], loggers: ServerThread | None, writer: ThreadPoolExecutor) -> None:
    try:
        if loggers is not None:
            loggers.start()
        run()
    except SupersededError as error:
        raise SystemExit(f"greenmine: {error}") from None
    finally:
        try:
            if loggers is not None:
                loggers.end()
        except ListenError as error:
            raise SystemExit(f"greenmine: {error}") from None
        finally:
            writer.shutdown()


def _keep_ticking(stop: threading.Event, tick: Callable[[], None]) -> None:
    while not stop.wait(_TURN):
        tick()


def _subscriptions(settings: Settings, registry: Registry) -> TopicSubscriptions:
    broker = f"{settings.broker_client}@{settings.broker_host}:{settings.broker_port}"
    return TopicSubscriptions(filters(routes(registry)), broker, settings.data / "subscriptions.json")


def _at_once(task: Callable[..., Any], *arguments: object) -> Any:
    return task(*arguments)


def _handed_over(writer: ThreadPoolExecutor, task: Callable[..., Any], *arguments: object) -> Any:
    return writer.submit(task, *arguments).result()


def _status(
    settings: Settings,
    session: Session | LogIntake,
    builder: FrameBuilder,
    broker: str,
    started: int,
    digest: str,
    loggers: ServerThread | None,
) -> WorkerStatus:
    counters = session.counters
    quantiles = [counters.commit_quantile(share) for share in (0.5, 0.99)]
    return WorkerStatus(
        started=started,
        connected=counters.connected or not broker,
        broker=broker,
        messages=counters.messages,
        bytes=counters.bytes,
        batches=counters.batches,
        connections=counters.connections,
        failures=counters.failures,
        retries=counters.retries,
        unacknowledged=counters.unacknowledged,
        missing=counters.missing,
        last_message=counters.last_message,
        commit_p50=None if math.isnan(quantiles[0]) else quantiles[0],
        commit_p99=None if math.isnan(quantiles[1]) else quantiles[1],
        registry=digest,
        queue=session.queue.size,
        behind=session.queue.filling(settings.broker_queue),
        clock=builder.clock.behind,
        doubted=builder.clock.doubted,
        deviations=dict(builder.deviations),
        loggers=None
        if loggers is None
        else LoggerServerStatus(port=loggers.server.port, **loggers.server.counters.figures()),
    )


def _take_again(record: Record, builder: FrameBuilder, commit: Callable[..., Any]) -> None:
    """Take in some of the rejected messages that were asked for, or held until the server's clock was set."""
    now = times.now()
    with record.transaction() as connection:
        if builder.clock.doubt_has_begun():
            sites = [site.id for site in record.registry.sites]
            retry.ask(connection, sites, None, Reason.FUTURE.value, now - AGREE, now)
        if builder.clock.has_been_mended() and (many := retry.release(connection)):
            _log.info("the server's clock has been set; taking in what was held", messages=many)
        rows = retry.waiting(connection, _AGAIN)
    for row in rows:
        builder.add(row.topic, row.payload, now, dated=row.received)
    if rows:
        numbers = [row.id for row in rows]
        commit(builder.deliver(), now, lambda connection, _: retry.note(connection, numbers, now))


def _say(record: Record, status: WorkerStatus) -> None:
    with record.transaction() as connection:
        row = WorkerRow(name=NAME, updated=times.now(), status=msgspec.json.encode(status).decode())
        record.upsert(connection, schema.worker, [row])
