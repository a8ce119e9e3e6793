"""The worker as a process of its own: collector, processing, record."""

from __future__ import annotations

import gc
import math
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import msgspec
import structlog

from greenmine import times
from greenmine.collector.gate import Gate
from greenmine.collector.hj212.server.columns import FrameBuilder
from greenmine.collector.hj212.server.loggers import load_loggers
from greenmine.collector.hj212.server.server import LoggerServer
from greenmine.collector.hj212.server.thread import ServerThread
from greenmine.collector.intake import LogPlace, Message, StoppedError
from greenmine.collector.jetstream.log_intake import LogIntake, LogSelection
from greenmine.collector.jetstream.subjects import LOG, subject_of
from greenmine.collector.mqtt.session import Session
from greenmine.collector.mqtt.subscription import TopicSubscriptions
from greenmine.collector.payloads.reasons import Reason
from greenmine.collector.payloads.server_clock import AGREE
from greenmine.errors import ListenError, StoreError
from greenmine.loading import load_registry
from greenmine.partitions import partitions_of
from greenmine.record import retry, schema
from greenmine.record.log_positions import STRANGERS, LogReader, SupersededError
from greenmine.record.loggers import LoggerRecord
from greenmine.record.membership import BEAT, Membership, WorkerShare, member_name
from greenmine.record.partitions import settle_partitions
from greenmine.record.record import DatabaseError, Engine, Record, end_sessions, migrate, open_engine
from greenmine.record.refused import RefusedRoom, sent_today
from greenmine.record.rows import WorkerRow
from greenmine.record.sharing import worker_row
from greenmine.record.status import LoggerServerStatus, WorkerStatus
from greenmine.record.suggestions import Suggestions
from greenmine.record.uploads import UploadDesk
from greenmine.record.writer import Beside, Pipeline
from greenmine.registry import Registry
from greenmine.routes import filters, routes
from greenmine.settings import Settings
from greenmine.topics import FRAMES, OWN

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

    Where readings come from a log, any number of workers may do so: each has a share of the partitions of mines, and does its
    part anew whenever that share becomes another one.

    Raises
    ------
    SystemExit
        With the reason, if the port for data loggers cannot be listened on.
    """
    registry = load_registry(settings.registry)
    engine = open_engine(settings.record_place, owner=None if settings.jetstream else NAME)
    migrate(engine)
    settle_partitions(engine, settings.partitions)
    if settings.jetstream is None:
        with suppress(StoppedError):
            _Part(settings, registry, engine, None, stop).work()
        return
    owner = member_name()
    engine.dispose()
    engine = open_engine(settings.record_place, name=owner)
    of = partitions_of(registry, settings.partitions)
    with _Sharing(engine, {0, *of.values()}, owner, stop) as sharing:
        while not stop.is_set():
            reader = sharing.begin(of)
            if reader is None:
                continue
            sites = [site for site in of if of[site] in reader.partitions]
            _log.info("has partitions", partitions=list(reader.partitions), sites=len(sites))
            try:
                _Part(settings, registry, engine, reader, sharing.changed, sites).work()
            except StoppedError:
                pass
            except SupersededError as error:
                _log.warning("gives up what another worker has", reason=str(error))
            gc.unfreeze()
            gc.collect()


class _Sharing:
    """A worker among others, in a thread that says and looks who lives; `changed` is set when this one is to begin anew.

    Parameters
    ----------
    engine : Engine
        Of the record.
    partitions : collection of int
        All that are to be shared out.
    owner : str
        Name of this worker.
    stop : threading.Event
        When set, this one ends.
    """

    def __init__(self, engine: Engine, partitions: Collection[int], owner: str, stop: threading.Event) -> None:
        self._engine, self._owner, self._stop = engine, owner, stop
        self._membership = Membership(engine, partitions, owner)
        self._reader: LogReader | None = None
        self._share: WorkerShare | None = None
        self._looked = threading.Event()
        self._ended = threading.Event()
        self.changed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="membership", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        with suppress(StoreError):  # whoever looks finds this process gone
            if self._reader is not None:
                self._reader.give_up(self._reader.partitions)
            self._membership.leave()

    def begin(self, sites: Mapping[str, int]) -> LogReader | None:
        """Give up and take what the last look at the others asks for; None: there is nothing for this worker now."""
        self._looked.clear()
        self.changed.clear()
        while not self._looked.wait(_TURN):
            if self._stop.is_set():
                return None
        share = self._share
        assert share is not None
        try:
            if self._reader is not None:
                self._reader.give_up(set(self._reader.partitions) - share.partitions)
                self._reader = None
            if not share.partitions:
                return None
            end_sessions(self._engine, share.dead)
            self._reader = LogReader(self._engine, share.partitions, self._owner, sites, share.epochs)
        except StoreError as error:
            _log.error("cannot take partitions; trying again", error=str(error))
            return None
        self.changed.clear()
        return self._reader if self._reader.partitions else None

    def _watch(self) -> None:
        told = ""
        while not self._ended.is_set():
            try:
                self._share, told = self._membership.look(), ""
            except (StoreError, DatabaseError) as error:
                if str(error) != told:
                    _log.error("cannot look at other workers; trying again", error=str(error))
                told = str(error)
            else:
                self._looked.set()
                reader = self._reader
                if reader is None or self._share.partitions != set(reader.partitions):
                    self.changed.set()
            if self._stop.wait(BEAT):
                self.changed.set()
                self._ended.wait(BEAT)


class _Part:
    """The sites of one worker: what receives, processes and stores their readings.

    Parameters
    ----------
    settings : Settings
        Of the installation.
    registry : Registry
        All of it.
    engine : Engine
        Of the record.
    reader : LogReader or None
        Owner of the partitions that the sites are in; None: readings come from a broker.
    stop : threading.Event
        When set, all ends.
    sites : collection of str, optional
        Ids of the sites; by default all.

    Raises
    ------
    StoppedError
        It is to stop before it has begun.
    SupersededError
        Another worker has begun with some of the partitions.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        engine: Engine,
        reader: LogReader | None,
        stop: threading.Event,
        sites: Collection[str] | None = None,
    ) -> None:
        gc.disable()  # hardly anything that a start makes is garbage
        self._settings, self._whole, self._reader, self._stop = settings, registry, reader, stop
        self._registry = registry if sites is None else registry.part(sites)
        partitions = (PARTITION,) if reader is None else reader.partitions
        fence = None if reader is None else reader.fence
        archive = settings.archive_place
        others = {site.id for site in registry.sites} - {site.id for site in self._registry.sites}
        self._record = Record(engine, self._registry, archive, partitions=partitions, fence=fence, others=others)
        self._name = NAME if settings.partitions == 1 else worker_row(partitions[0])
        self._left = [worker_row(number) for number in partitions[1:]]
        """Rows of former owners of what this one has."""
        self._pipeline = self._begun()
        # Frames of data loggers come from a log only.
        loggers = {} if reader is None else load_loggers(self._registry, settings, admitting=False)
        self._strangers: frozenset[str] = frozenset() if reader is None else reader.strangers
        self._known = registry.part([site.id for site in registry.sites if site.id not in self._strangers])
        self._builder = FrameBuilder(
            self._registry, settings, loggers=loggers, whole=self._known, strangers=STRANGERS in partitions
        )

    def _begun(self) -> Pipeline:
        """The pipeline, as soon as the record takes what the start notes; the disk may be full."""
        while True:
            try:
                return self._pipeline_of(self._settings)
            except StoreError as error:
                _log.error("the record takes nothing; trying again", error=str(error))
                if self._stop.wait(_STATUS):
                    raise StoppedError from error

    def _pipeline_of(self, settings: Settings) -> Pipeline:
        return Pipeline(
            self._registry,
            self._record,
            lateness=settings.lateness_hours * 60,
            grace=math.ceil(settings.grace_seconds / 60),
            silent_minutes=settings.silent_minutes,
            now=times.now(),
            room=RefusedRoom(
                self._registry, settings.device_rejections, settings.device_rejected_bytes, settings.rejection_bytes
            ),
            checkpoint=settings.data / "rings.checkpoint",
            checkpoint_seconds=settings.checkpoint_seconds,
            owner="" if self._reader is None else self._reader.owner,
        )

    def work(self) -> None:
        """Collect and process until it is to stop.

        Raises
        ------
        SupersededError
            Another worker has begun with some of the partitions.
        """
        settings, pipeline, registry, record = self._settings, self._pipeline, self._registry, self._record
        stop, causes = self._stop, Suggestions(record)
        gate = _gate(registry, record, settings)
        logger_record = LoggerRecord(
            pipeline, catchup_hours=settings.hj212_catchup_hours, frame_days=settings.hj212_frame_days
        )
        uploads, builder = UploadDesk(pipeline, settings.uploads), self._builder
        # Whatever receives, one thread alone writes the record: this one, or where loggers come in as well, one for both.
        writer = ThreadPoolExecutor(1, "record")
        by_log = self._reader is not None
        speaks = {bool(device.mn) for site in registry.sites for device in site.devices}
        loggers = None
        if settings.hj212_port is not None:
            loggers = ServerThread(LoggerServer(registry, settings, logger_record, writer, stop, gate), stop)
        elif not by_log and True in speaks:
            _log.warning("there are data loggers in the registry and no port for them; set GREENMINE_HJ212_PORT")
        # Where all devices are data loggers there need be no broker.
        alone = loggers is not None and not by_log and False not in speaks
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
                    due["work"] = clock + _STATUS
                    _take_again(record, builder, partial(written, logger_record.commit))
                    if any(written(_go_on, desk.carry_on, clock + STEPS) for desk in (pipeline, uploads, causes)):
                        due["work"] = time.monotonic() + STEPS
                if clock >= due["status"]:
                    due["status"] = clock + _STATUS
                    written(
                        self._say, _status(settings, session, builder, broker, started, self._whole.digest, loggers)
                    )
                    written(pipeline.keep, times.now())
                    if loggers is not None or (by_log and True in speaks):
                        written(logger_record.look_after, times.now())
                    refused = False
            except StoreError as error:
                if not refused:  # said once, not every two seconds until somebody makes room
                    _log.error("the record takes nothing; trying again", error=str(error))
                refused = True

        session = self._session(handle, stop, tick, gate)
        _begin_collecting()
        _receive(session.run if broker else partial(_keep_ticking, stop, tick), loggers, writer)
        pipeline.keep(times.now(), everything=True)

    def _session(
        self,
        handle: Callable[[list[Message], Beside | None], None],
        stop: threading.Event,
        tick: Callable[[], None],
        gate: Gate,
    ) -> Session | LogIntake:
        """What receives: from the log where there is one, else from the broker."""
        settings, reader = self._settings, self._reader
        wanted = filters(routes(self._registry if reader is None else self._known))
        if reader is None:
            broker = f"{settings.broker_client}@{settings.broker_host}:{settings.broker_port}"
            subscriptions = TopicSubscriptions(wanted, broker, settings.data / "subscriptions.json")
            return Session(settings, lambda messages: handle(messages, None), stop, tick, subscriptions, gate)

        def handle_place(messages: list[Message], place: LogPlace) -> None:
            handle(messages, lambda connection, _: reader.store(connection, place))

        wanted = [*wanted, FRAMES.format(site="+", device="+")]
        return LogIntake(settings, handle_place, stop, reader.places, tick, wanted, gate, self._selected)

    def _selected(self, partitions: Collection[int]) -> LogSelection:
        """What of the log is read for partitions."""
        if self._settings.partitions == 1:
            return LogSelection()
        of = partitions_of(self._whole, self._settings.partitions)
        if STRANGERS in partitions:
            # Nobody can ask the log for what is of no site; so this one reads everything.
            others = (site for site in of if of[site] not in partitions)
            return LogSelection(elsewhere=frozenset(others) - self._strangers)
        part = self._whole.part([site for site in of if of[site] in partitions])
        own = [topic.format(site=site.id, device="+") for site in part.sites for topic in (OWN, FRAMES)]
        return LogSelection([f"{LOG}{subject_of(topic)}" for topic in own + filters(routes(part))] or [f"{LOG}nobody"])

    def _say(self, status: WorkerStatus) -> None:
        with self._record.writing() as connection:
            row = WorkerRow(name=self._name, updated=times.now(), status=msgspec.json.encode(status).decode())
            self._record.upsert(connection, schema.worker, [row])
            if self._left:
                connection.execute(schema.worker.delete().where(schema.worker.c.name.in_(self._left)))


def _begin_collecting() -> None:
    """Look for garbage from now on; what was made at the start stays, so no collection need go through it between two commits."""
    gc.freeze()
    gc.enable()


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


def _go_on(step: Callable[[int], bool], until: float) -> bool:
    """Go on for some time; tell if there may be more to do. While there is every other moment is left to readings."""
    while step(times.now()):
        if time.monotonic() > until:
            return True
    return False


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
    with record.writing() as connection:
        if builder.clock.doubt_has_begun():
            sites = [site.id for site in record.registry.sites]
            retry.ask(connection, sites, None, Reason.FUTURE.value, now - AGREE, now)
        if builder.clock.has_been_mended() and (many := retry.release(connection)):
            _log.info("the server's clock has been set; taking in what was held", messages=many)
        rows = [row for row in retry.waiting(connection, _AGAIN) if builder.takes(row.topic)]
    for row in rows:
        builder.add(row.topic, row.payload, now, dated=row.received)
    if rows:
        numbers = [row.id for row in rows]
        commit(builder.deliver(), now, lambda connection, _: retry.note(connection, numbers, now))
