from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import pytest

from greenmine.simulators.clock import DAY_MS, MINUTE_MS
from greenmine.simulators.faults import KINDS, Plans
from greenmine.simulators.messages import Message
from greenmine.simulators.mine import stream, truth
from greenmine.simulators.truth import InjectedFault
from tests.simulators.payload_readers import READERS

SPAN = 8 * DAY_MS


@dataclass
class Pair:
    """The messages of the device that a fault touches, without and with the fault."""

    fault: InjectedFault
    device: str
    clean: list[Message]
    faulty: list[Message]
    read: object
    interval: int

    def measured(self, message):
        return min(time for time, _ in self.read(message.payload))

    def touched(self, message):
        return self.fault.start <= self.measured(message) < self.fault.end


@pytest.fixture(scope="module")
def pair(registry, monday):
    plans = Plans(registry, 1)
    first = monday // DAY_MS

    def make(kind, number=0):
        faults = [f for day in range(first, first + 14) for f in plans.day(day) if f.kind == kind]
        fault = faults[number]
        device = fault.device or registry.site(fault.site).devices[number].id
        profile = registry.profiles[registry.device(fault.site, device).profile]
        start = fault.start // DAY_MS * DAY_MS
        name = f"greenmine/v1/{fault.site}/{device}/readings"
        clean, faulty = (
            [m for m in stream(registry, [fault.site], 1, start, start + DAY_MS, kinds) if m.topic == name]
            for kinds in ((), (kind,))
        )
        interval = next(iter(registry.device_channels(fault.site, device).values())).interval
        return Pair(fault, device, clean, faulty, READERS[profile.format], interval)

    return make


def by_payload(messages):
    return {m.payload: m.time_sent for m in messages}


@pytest.mark.parametrize("kind", KINDS)
def test_a_week_has_each_kind_of_fault_and_its_truth_lies_within_a_day(registry, sites, monday, kind):
    faults = [f for f in truth(registry, sites, 1, monday, monday + 7 * DAY_MS).faults if f.kind == kind]
    assert len(faults) >= 2
    for fault in faults:
        assert fault.start < fault.end <= (fault.start // DAY_MS + 1) * DAY_MS


def test_only_the_chosen_kinds_are_injected(registry, sites, monday):
    known = truth(registry, sites, 1, monday, monday + 7 * DAY_MS, ("gap", "late"))
    assert {fault.kind for fault in known.faults} == {"gap", "late"}


def test_no_two_faults_touch_the_same_readings(registry, monday):
    plans = Plans(registry, 1)
    spans = []
    for day in range(monday // DAY_MS, monday // DAY_MS + 60):
        for fault in plans.day(day):
            devices = [fault.device] if fault.device else [d.id for d in registry.site(fault.site).devices]
            spans += [(fault.site, device, fault.start, fault.end) for device in devices]
    spans.sort()
    assert len(spans) > 400
    for one, other in pairwise(spans):
        assert one[:2] != other[:2] or one[3] <= other[2]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_late_messages_are_sent_later_by_the_delay_and_unchanged(pair, number):
    case = pair("late", number)
    clean, faulty = by_payload(case.clean), by_payload(case.faulty)
    assert clean.keys() == faulty.keys()
    shifted = {p for p in clean if faulty[p] != clean[p]}
    assert shifted == {m.payload for m in case.clean if case.touched(m)}
    assert len(shifted) >= 8
    assert {faulty[p] - clean[p] for p in shifted} == {case.fault.parameters["delay"]}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_duplicates_are_the_same_messages_once_more(pair, number):
    case = pair("duplicate", number)
    extra = Counter(m.payload for m in case.faulty) - Counter(m.payload for m in case.clean)
    assert extra == Counter(m.payload for m in case.clean if case.touched(m))
    assert len(extra) >= 8


@pytest.mark.parametrize("number", [0, 1, 2])
def test_reordered_messages_are_sent_a_second_after_their_successors(pair, number):
    case = pair("reordered", number)
    clean, faulty = by_payload(case.clean), by_payload(case.faulty)
    assert clean.keys() == faulty.keys()
    moved = [m for m in case.clean if faulty[m.payload] != clean[m.payload]]
    assert len(moved) >= 3
    assert all(case.touched(m) for m in moved)
    following = dict(zip(case.clean, case.clean[1:], strict=False))
    assert [faulty[m.payload] for m in moved] == [following[m].time_sent + 1000 for m in moved]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_gap_drops_exactly_its_messages(pair, number):
    case = pair("gap", number)
    assert case.faulty == [m for m in case.clean if not case.touched(m)]
    assert len(case.clean) - len(case.faulty) >= 8


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5])
def test_a_power_loss_silences_every_device_until_its_end(pair, number):
    case = pair("power-loss", number)
    assert case.fault.device == ""
    silent = [m for m in case.faulty if case.fault.start + MINUTE_MS <= m.time_sent < case.fault.end]
    assert silent == []
    missing = {m.payload for m in case.clean} - {m.payload for m in case.faulty}
    touched = {m.payload for m in case.clean if case.touched(m)}
    assert touched
    assert missing == (set() if case.fault.parameters["backlog"] else touched)
    waited = [m.time_sent for m in case.faulty if m.payload in touched]
    assert all(case.fault.end <= time < case.fault.end + 2 * MINUTE_MS for time in waited)


def test_some_power_losses_keep_a_backlog_and_some_do_not(registry, monday):
    plans = Plans(registry, 1)
    days = range(monday // DAY_MS, monday // DAY_MS + 30)
    kept = {f.parameters["backlog"] for day in days for f in plans.day(day) if f.kind == "power-loss"}
    assert kept == {0.0, 1.0}


def columns(case, registry, which):
    parameter = case.fault.channel.rpartition("/")[2]
    entry = registry.device(case.fault.site, case.device)
    fields = registry.profiles[entry.profile].fields
    spoken = next((name for name, p in fields.items() if p == parameter), parameter)
    found = {}
    for message in which:
        found |= {time: value for (time, name), value in case.read(message.payload).items() if name == spoken}
    rest = [{k: v for k, v in case.read(m.payload).items() if k[1] != spoken} for m in which]
    return found, rest


def split(case, registry):
    clean, others = columns(case, registry, case.clean)
    faulty, others_too = columns(case, registry, case.faulty)
    assert clean.keys() == faulty.keys()
    assert others == others_too
    inside = [t for t in clean if case.fault.start <= t < case.fault.end and clean[t] is not None]
    outside = [t for t in clean if not case.fault.start <= t < case.fault.end]
    assert inside
    assert [clean[t] for t in outside] == [faulty[t] for t in outside]
    return clean, faulty, inside


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_frozen_channel_holds_its_value(pair, registry, number):
    case = pair("frozen", number)
    clean, faulty, inside = split(case, registry)
    assert {faulty[t] for t in inside} == {clean[inside[0]]}
    parameter = registry.parameters[case.fault.channel.rpartition("/")[2]]
    assert case.fault.end - case.fault.start > parameter.checks.frozen_minutes * MINUTE_MS


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_unit_slip_multiplies_by_its_factor(pair, registry, number):
    case = pair("unit-slip", number)
    clean, faulty, inside = split(case, registry)
    factor = case.fault.parameters["factor"]
    assert factor in {1000.0, 0.001}
    for t in inside:
        assert faulty[t] == pytest.approx(clean[t] * factor, rel=1e-6, abs=2e-4)


@pytest.mark.parametrize("number", [0, 1])
def test_drift_grows_with_time(pair, registry, number):
    case = pair("drift", number)
    clean, faulty, inside = split(case, registry)
    channel = next(c for c in registry.channels if c.key == case.fault.channel)
    resolution = 10.0**-channel.parameter.decimals / channel.scale
    for t in inside:
        hours = (t - case.fault.start) / 3_600_000
        drifted = clean[t] * (1 + case.fault.parameters["slope"] * hours)
        assert faulty[t] == pytest.approx(drifted, abs=0.51 * resolution)
    assert faulty[inside[-1]] > clean[inside[-1]]


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_wrong_clock_shifts_the_instants_and_nothing_else(pair, number):
    case = pair("clock-skew", number)
    offset = case.fault.parameters["offset"]
    assert abs(offset) >= 400_000
    assert [m.time_sent for m in case.clean] == [m.time_sent for m in case.faulty]
    shifted = 0
    for clean, faulty in zip(case.clean, case.faulty, strict=True):
        move = offset * case.touched(clean)
        shifted += case.touched(clean)
        assert case.read(faulty.payload) == {(t + move, n): v for (t, n), v in case.read(clean.payload).items()}
    assert shifted >= 8


def test_a_message_number_is_not_used_twice_and_a_gap_leaves_a_hole(registry, monday):
    plans = Plans(registry, 1)
    gaps = [f for day in range(monday // DAY_MS, monday // DAY_MS + 14) for f in plans.day(day) if f.kind == "gap"]
    gap = next(f for f in gaps if registry.profiles[registry.device(f.site, f.device).profile].format == "greenmine")
    start = gap.start // DAY_MS * DAY_MS
    name = f"greenmine/v1/{gap.site}/{gap.device}/readings"
    messages = stream(registry, [gap.site], 1, start, start + DAY_MS, ("gap",))
    numbers = [msgspec.json.decode(m.payload)["seq"] for m in messages if m.topic == name]
    steps = Counter(b - a for a, b in pairwise(numbers))
    assert len(numbers) == len(set(numbers))
    interval = next(iter(registry.device_channels(gap.site, gap.device).values())).interval
    assert steps == {1: len(numbers) - 2, (gap.end - gap.start) // interval + 1: 1}
