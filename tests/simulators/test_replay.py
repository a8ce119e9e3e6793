from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from greenmine.collector.files import FileReadings
from greenmine.parameters import load_parameters
from greenmine.simulators.messages import Message
from greenmine.simulators.recording import read_recording, write_recording
from greenmine.simulators.replay import Replay
from tests.simulators.payload_readers import own

TIMES = np.arange(1_794_182_400_000, 1_794_182_400_000 + 10 * 60_000, 60_000)


PARAMETERS = load_parameters()


def made(times=TIMES, **changes):
    def series(name, values):
        size = len(times)
        return FileReadings(
            parameter=PARAMETERS[name], column=name, time=np.asarray(times), value=np.asarray(values, np.float64),
            flag=np.full(size, ord("N"), np.uint8), bound=np.zeros(size, np.int8), interval=60_000.0, zone=None,
            unit=None, naive=True,
            notes=(), lines=(),
            **({"doubtful": np.zeros(size, np.bool_)} | changes),
        )  # fmt: skip

    return series


def test_rows_become_numbered_batches_of_columns(registry):
    series = [made()("pm10", np.arange(10.0)), made()("laeq", np.arange(10.0) * 2)]
    replay = Replay(registry, series, "kunyin", "receptor-air-noise", batch=8)
    messages = list(replay.messages())
    assert [msgspec.json.decode(m.payload)["seq"] for m in messages] == [0, 1, 2]
    assert [len(own(m.payload)) for m in messages] == [8, 8, 4]
    read = {key: value for m in messages for key, value in own(m.payload).items()}
    assert read == {(int(t), "pm10"): float(i) for i, t in enumerate(TIMES)} | {
        (int(t), "laeq"): 2.0 * i for i, t in enumerate(TIMES)
    }
    assert replay.span == (TIMES[0], TIMES[-1])
    assert (replay.readings, replay.skipped) == (20, 0)


def test_cells_that_are_no_numbers_are_skipped_and_counted(registry):
    a, b = np.arange(10.0), np.arange(10.0)
    a[[0, 3]] = np.nan
    b[[3, 4]] = np.nan
    replay = Replay(registry, [made()("pm10", a), made()("laeq", b)], "kunyin", "receptor-air-noise")
    read = {key: value for m in replay.messages() for key, value in own(m.payload).items()}
    assert replay.skipped == 4
    assert len(read) == replay.readings == 16
    assert read[int(TIMES[0]), "laeq"] == 0
    assert (int(TIMES[0]), "pm10") not in read
    assert all(value is not None for value in read.values())


def test_messages_of_a_disordered_file_keep_its_order(registry):
    order = np.array([5, 0, 1, 9, 2, 3, 4, 6, 7, 8])
    series = [made(TIMES[order])("pm10", order.astype(float))]
    messages = list(Replay(registry, series, "kunyin", "receptor-air-noise", batch=1).messages())
    assert [time for m in messages for time, _ in own(m.payload)] == TIMES[order].tolist()
    sent = [m.time_sent for m in messages]
    assert sent == sorted(sent)


def test_an_empty_file_has_no_messages(registry):
    replay = Replay(registry, [made(TIMES[:0])("pm10", [])], "kunyin", "receptor-air-noise")
    assert list(replay.messages()) == []
    assert replay.span == (0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"site": "nowhere"}, "no device 'receptor-air-noise' at site 'nowhere'; it has .*kunyin/weather"),
        ({"device": "nothing"}, "no device 'nothing'"),
        ({"device": "outfall-water"}, "speaks senml"),
        ({"names": ()}, "map at least one column"),
        ({"names": ("ph",)}, "does not measure 'ph'; it measures pm10"),
        ({"names": ("pm10", "pm10")}, "two columns are mapped to 'pm10'"),
        ({"changes": {"doubtful": np.ones(10, np.bool_)}}, "pm10: 10 values .* may stand for no value"),
        ({"batch": 0}, "1 or more"),
    ],
)
def test_what_cannot_be_replayed_is_named_with_what_would_be_right(registry, changes, message):
    changes = dict(changes)
    names, changed = changes.pop("names", ("pm10",)), changes.pop("changes", {})
    arguments = {"site": "kunyin", "device": "receptor-air-noise"} | changes
    with pytest.raises(ValueError, match=message):
        Replay(registry, [made(**changed)(name, np.zeros(10)) for name in names], **arguments)


def test_parameters_with_rows_of_their_own_are_merged_in_time(registry):
    series = [made()("pm10", np.arange(10.0)), made(TIMES + 30_000)("laeq", np.arange(10.0))]
    messages = list(Replay(registry, series, "kunyin", "receptor-air-noise", batch=1).messages())
    assert [m.time_sent for m in messages] == sorted([*TIMES.tolist(), *(TIMES + 30_000).tolist()])


def test_instants_can_be_shifted(registry):
    replay = Replay(registry, [made()("pm10", np.arange(10.0))], "kunyin", "receptor-air-noise", shift=60_000)
    assert replay.span == (TIMES[0] + 60_000, TIMES[-1] + 60_000)


def test_a_tape_reads_back_to_the_same_messages(tmp_path: Path):
    messages = [Message(i, "greenmine/v1/s/d/readings", f'{{"µ":{i}}}'.encode()) for i in range(100)]
    file = tmp_path / "messages.jsonl"
    assert list(write_recording(file, messages)) == messages
    assert list(read_recording(file)) == messages


@pytest.mark.parametrize("line", ["nonsense", '{"sent":1,"topic":"x"}', '{"sent":"1","topic":"x","payload":""}'])
def test_a_damaged_tape_names_the_line(tmp_path: Path, line):
    file = tmp_path / "messages.jsonl"
    file.write_text(f'{{"sent":1,"topic":"x","payload":"y"}}\n{line}\n')
    with pytest.raises(ValueError, match=r"line 2: .*would be right"):
        list(read_recording(file))
