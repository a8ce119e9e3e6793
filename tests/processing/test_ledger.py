"""The ledger adds up, and message sequences tell what was passed over."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from greenmine.batch import Batch, Rejection
from greenmine.processing.engine import Outcome, nothing
from greenmine.processing.identity import Sorted
from greenmine.processing.ledger import LedgerEntry, SequenceNews, Sequences, entries
from greenmine.readings import Readings

MIDNIGHT = 1_772_294_400_000
"""2026-03-01 00:00 in Asia/Shanghai [ms UTC]."""
EAST = 8 * 3_600_000
DEVICES = [("mine", "a"), ("mine", "b")]


def rejection(message: int, count: int, site: str = "mine", device: str = "a") -> Rejection:
    return Rejection(0, site, device, "t", "malformed", "", count, 10, b"", message)


def batch(
    owner: list[int], message: list[int], received: list[int] | None = None, seq: list[int] | None = None,
    rejections: list[Rejection] | None = None, times: list[int] | None = None,
) -> Batch:  # fmt: skip
    n = len(message)
    time = np.array(times if times is not None else [MIDNIGHT] * n, np.int64)
    return Batch(
        Readings(np.zeros(n, np.int32), time, np.zeros(n), np.full(n, ord("N"), np.uint8)),
        np.array(message, np.int32),
        DEVICES,
        np.array(owner, np.int32),
        np.array(seq if seq is not None else [-1] * len(owner), np.int64),
        np.array(received if received is not None else [MIDNIGHT] * len(owner), np.int64),
        np.zeros(len(owner), np.int64),
        np.bincount(message, minlength=len(owner))
        + np.array([sum(r.readings for r in rejections or [] if r.message == m) for m in range(len(owner))], np.int64),
        rejections or [],
    )


def outcome(fresh: list[int], repeated: list[int], conflicting: list[int], late: list[int]) -> Outcome:
    index = [np.array(x, np.intp) for x in (fresh, repeated, conflicting, late)]
    return Outcome(Sorted(*index), np.zeros(len(fresh), np.uint8), np.arange(len(fresh)) % 2 == 1)


def by_device(found: list[LedgerEntry]) -> dict[tuple[str, str], LedgerEntry]:
    assert len({(e.site, e.device, e.day) for e in found}) == len(found)
    return {(e.device, e.day): e for e in found}


def test_what_arrived_is_counted_apart_from_what_became_of_it() -> None:
    some = batch([0, 1], [0, 0, 0, 1, 1])
    found = by_device(entries(some, outcome([0, 3], [1], [], []), lambda _: EAST))
    a, b = found["a", "2026-03-01"], found["b", "2026-03-01"]
    assert (a.received, a.stored, a.duplicate) == (3, 1, 1), "one that vanished shows"
    assert (b.received, b.stored) == (2, 1)


def test_readings_are_counted_for_the_device_whose_message_brought_them() -> None:
    some = batch([0, 1], [0, 0, 0, 1, 1, 1, 1], rejections=[rejection(0, 5)])
    found = by_device(entries(some, outcome([0, 1, 3], [2, 4], [4], [5, 6]), lambda _: EAST))
    a, b = found["a", "2026-03-01"], found["b", "2026-03-01"]
    assert (a.messages, a.received, a.stored, a.duplicate, a.conflict, a.rejected, a.late) == (1, 8, 2, 1, 0, 5, 0)
    assert (b.messages, b.received, b.stored, b.duplicate, b.conflict, b.rejected, b.late) == (1, 4, 1, 1, 1, 0, 2)
    assert (a.reordered, b.reordered) == (1, 0)


def test_a_batch_around_midnight_belongs_to_two_local_days() -> None:
    some = batch([0, 0, 0], [0, 1, 1, 2], received=[MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 5])
    found = by_device(entries(some, outcome([0, 1, 2, 3], [], [], []), lambda _: EAST))
    assert {day: (e.messages, e.stored) for (_, day), e in found.items()} == {
        "2026-02-28": (1, 1),
        "2026-03-01": (2, 3),
    }


def test_strangers_are_counted_under_what_their_topic_says() -> None:
    some = batch(
        [-1, 0, -1, -1], [1], rejections=[rejection(0, 1, "x", "y"), rejection(2, 3, "x", "y"), rejection(3, 1, "", "")]
    )
    found = {
        (e.site, e.device): (e.messages, e.received, e.rejected)
        for e in entries(some, outcome([0], [], [], []), lambda _: 0)
    }
    assert found == {("x", "y"): (2, 4, 4), ("mine", "a"): (1, 1, 0), ("", ""): (1, 1, 1)}


def test_latency_is_summed_over_what_was_stored() -> None:
    some = batch(
        [0, 1], [0, 0, 1], received=[MIDNIGHT + 100, MIDNIGHT + 300], times=[MIDNIGHT, MIDNIGHT + 40, MIDNIGHT]
    )
    found = by_device(entries(some, outcome([0, 2], [1], [], []), lambda _: EAST))
    assert found["a", "2026-03-01"].latency_sum == 100
    assert found["b", "2026-03-01"].latency_sum == 300


def test_messages_without_readings_are_counted() -> None:
    found = by_device(entries(batch([0, 0], []), nothing(), lambda _: EAST))
    assert found["a", "2026-03-01"].messages == 2
    assert found["a", "2026-03-01"].received == 0


@settings(max_examples=100, derandomize=True)
@given(st.data())
def test_received_is_stored_and_duplicate_and_rejected_and_late(data: st.DataObject) -> None:
    owner = data.draw(st.lists(st.integers(0, 1), min_size=1, max_size=6))
    message = data.draw(st.lists(st.integers(0, len(owner) - 1), max_size=30))
    received = [MIDNIGHT + data.draw(st.integers(-5, 5)) for _ in owner]
    parts = [data.draw(st.integers(0, 2)) for _ in message]
    rejections = [rejection(m, data.draw(st.integers(1, 9))) for m in range(len(owner)) if data.draw(st.booleans())]
    some = batch(owner, message, received, rejections=rejections)
    split = [[i for i, p in enumerate(parts) if p == k] for k in range(3)]
    found = entries(some, outcome(split[0], split[1], split[1][:1], split[2]), lambda _: EAST)
    assert all(e.received == e.stored + e.duplicate + e.rejected + e.late for e in found)
    assert sum(e.received for e in found) == some.received
    assert sum(e.messages for e in found) == some.messages


def follow(sequences: Sequences, numbers: list[int]) -> SequenceNews | None:
    return sequences.take(batch([0] * len(numbers), [], seq=numbers)).get(("mine", "a"))


def test_a_sequence_without_gaps_has_nothing_to_tell() -> None:
    sequences = Sequences()
    assert follow(sequences, [5, 6, 7]) == SequenceNews(7, 0, None)
    assert follow(sequences, [8]) == SequenceNews(8, 0, None)


def test_numbers_passed_over_are_missing_until_they_come() -> None:
    sequences = Sequences()
    assert follow(sequences, [1, 2, 6]) == SequenceNews(6, 3, [(3, 5)])
    assert follow(sequences, [4]) == SequenceNews(6, -1, [(3, 3), (5, 5)])
    assert follow(sequences, [7, 3, 5]) == SequenceNews(7, -2, [])
    assert follow(sequences, [8]) == SequenceNews(8, 0, None)


def test_a_repeat_changes_nothing() -> None:
    sequences = Sequences()
    follow(sequences, [1, 2, 6])
    assert follow(sequences, [2, 6, 1]) == SequenceNews(6, 0, None)


def test_a_device_that_counts_anew_is_followed() -> None:
    sequences = Sequences()
    follow(sequences, [5000])
    assert follow(sequences, [0, 1, 2]) == SequenceNews(2, 0, None)
    assert follow(sequences, [5]) == SequenceNews(5, 2, [(3, 4)])


def test_a_device_that_counts_anew_with_gaps_open_is_followed_and_its_old_gaps_are_closed() -> None:
    sequences = Sequences()
    follow(sequences, [4990, 4995])
    assert follow(sequences, [0, 1]) == SequenceNews(1, 0, [])
    assert follow(sequences, [4]) == SequenceNews(4, 2, [(2, 3)])


def test_a_message_that_comes_a_little_late_is_no_restart() -> None:
    sequences = Sequences()
    follow(sequences, [5000])
    assert follow(sequences, [4000]) == SequenceNews(5000, 0, None)


def test_devices_and_messages_without_a_number_are_left_out() -> None:
    sequences = Sequences()
    some = batch([0, 1, 0, -1], [], seq=[1, -1, 3, 9])
    assert sequences.take(some) == {("mine", "a"): SequenceNews(3, 1, [(2, 2)])}
    assert sequences.take(batch([1], [])) == {}


def test_what_was_restored_goes_on() -> None:
    sequences = Sequences()
    sequences.restore(("mine", "a"), 10, [(7, 8), (3, 3)])
    assert follow(sequences, [8, 11]) == SequenceNews(11, -1, [(3, 3), (7, 7)])


@settings(max_examples=100, derandomize=True)
@given(st.permutations(list(range(12))), st.lists(st.integers(0, 11), max_size=8), st.integers(1, 4))
def test_when_all_have_come_in_whatever_order_nothing_is_missing(order: list[int], again: list[int], size: int) -> None:
    numbers = [0, *(n for n in order if n), *again]
    sequences = Sequences()
    news = [follow(sequences, numbers[i : i + size]) for i in range(0, len(numbers), size)]
    assert sum(n.missing for n in news if n) == 0
    assert news[-1] is not None
    assert news[-1].last == 11
