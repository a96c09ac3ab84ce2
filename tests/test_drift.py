"""The machine may change between two runs: what is then said of the code."""

import pytest

from bncli.benchmarking import clock, drift, statistics
from bncli.benchmarking.compare import LARGE, MEETINGS, STILL
from bncli.benchmarking.drift import Drift
from bncli.core.report import Column, Report
from bncli.reports.compare import compare

PROBLEM = "64x3000/per-activation/float32/eps=1e-05"
CORES = 2


def row(kernel="numba", time=1.0, **more):
    return {
        "problem": PROBLEM, "input": "--seed 0", "kernel": kernel, "direction": "forward", "cache": "warm",
        "verdict": "PASS", "samples": [time * (1 + 0.001 * (i % 3)) for i in range(60)], **more,
    }  # fmt: skip


def limit(operation="copy", time=0.1, **more):
    return row(operation, time, direction="limit", **more)


def compared(old, new):
    return compare(
        *(Report("bench", (Column("kernel", "kernel"),), rows, environment={"cores": CORES}) for rows in (old, new))
    )


def verdicts(old, new):
    found = compared(old, new).rows
    return {each["kernel"]: each["verdict"] for each in found}, found


# The clock.


@pytest.mark.compiled
def test_the_chain_is_computed_step_by_step():
    def wrapped(value):
        return (value + (1 << 63)) % (1 << 64) - (1 << 63)

    expected = 1
    for _ in range(clock.STEPS):
        expected = wrapped((expected ^ (expected >> 7)) * 6364136223846793005)
    assert clock.chain(1) == expected


def test_the_clock_is_that_of_both_runs_or_none():
    assert drift.between({"clock": 2.0}, {"clock": 3.0}, []) == Drift(1.5)
    for old, new in (({}, {"clock": 3.0}), ({"clock": 3.0}, {}), ({"clock": None}, {"clock": 3.0})):
        assert drift.between(old, new, []) == Drift()


@pytest.mark.parametrize(
    ("ratio", "chain", "verdict"),
    [
        (1.15, 1.15, "SAME"),  # the clock explains it
        (1 / 1.15, 1 / 1.15, "SAME"),
        (1.0, 1.15, "SAME"),  # nothing to explain: memory does not wait for the clock
        (1.30, 1.15, "SLOWER"),
        (1 / 1.30, 1 / 1.15, "FASTER"),
        (1.15, 1 / 1.15, "SLOWER"),
        (1.12, 1.01, "SLOWER"),
        (1.12, 1.04, "UNSURE"),  # slower, but not by more than noise beside the clock, nor within it
    ],
)
def test_what_the_clock_explains_is_the_same(ratio, chain, verdict):
    # An interval that crosses the floor makes the last one open.
    new = row(time=ratio, clock=chain)
    if verdict == "UNSURE":
        new["samples"] = [s * (1.05 if i % 2 else 0.99) for i, s in enumerate(new["samples"])]
    found, (only,) = verdicts([row(clock=1.0)], [new])
    assert found["numba"] == verdict
    assert only["clock"] == pytest.approx(chain)
    assert only["ratio"] == pytest.approx(ratio, rel=0.05)  # which stays that of the times


# The threads.


def test_a_meeting_is_that_of_both_runs_or_none():
    for old, new, apart in ((1e-6, 3e-6, 2e-6), (3e-6, 1e-6, 2e-6), (None, 3e-6, 0.0), (1e-6, None, 0.0)):
        assert drift.between({"meeting": old}, {"meeting": new}, []).meeting == pytest.approx(apart)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("more", "verdict"), [(5e-6, "UNSURE"), (1e-6, "SAME"), (30e-6, "SLOWER")])
def test_what_threads_that_meet_later_may_explain_is_not_slower(more, verdict, turned):
    old, new = row(time=20e-6, meeting=1.2e-6), row(time=20e-6 + more, meeting=2.2e-6)
    assert drift.between(old, new, []).meeting * MEETINGS == pytest.approx(20e-6)
    found, (only,) = verdicts(*([new], [old]) if turned else ([old], [new]))
    assert found["numba"] == ("FASTER" if turned and verdict == "SLOWER" else verdict)
    explained = "numba forward: threads took 1.00 µs more or less to meet, which may be why"
    assert only["note"] == (explained if verdict == "UNSURE" else "")


# The memory.


def test_the_limits_are_apart_either_way():
    pairs = [(limit(time=1.0), limit(time=1.21)), (limit("add", 1.0), limit("add", 1.0))]
    for turned, factors in ((pairs, [1.21, 1.0]), ([(new, old) for old, new in pairs], [1 / 1.21, 1.0])):
        found = drift.between({}, {}, turned)
        assert found.memory == pytest.approx(factors, rel=1e-3)
        assert found.apart == pytest.approx(0.1, abs=1e-3)  # the geometric mean
        assert found.furthest == pytest.approx(0.21, abs=1e-3)
    assert (STILL.apart, STILL.furthest) == (0.0, 0.0)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("moved", "ratio", "copy", "add", "verdict"),
    [
        (LARGE + 1, 1.5, 1.2, 1.5, "SAME"),  # as one of the limits
        (LARGE + 1, 1.2, 1.2, 1.5, "SAME"),
        (LARGE + 1, 1.0, 1.2, 1.5, "SAME"),  # it does not wait for the memory
        (LARGE + 1, 1.35, 1.2, 1.5, "UNSURE"),  # it may be both
        (LARGE + 1, 1.7, 1.2, 1.5, "SLOWER"),  # beside either
        (LARGE + 1, 1.15, 1.0, 1.0, "SLOWER"),
        (LARGE, 1.5, 1.2, 1.5, "SLOWER"),  # beyond the mean of both; and its arrays are in the caches
        (None, 1.5, 1.2, 1.5, "SLOWER"),
    ],
)
def test_large_arrays_follow_the_memory(moved, ratio, copy, add, verdict, turned):
    before = [row(bytes=moved), limit(), limit("add")]
    after = [row(time=ratio, bytes=moved), limit(time=0.1 * copy), limit("add", 0.1 * add)]
    found, (first, *_) = verdicts(*((after, before) if turned else (before, after)))
    assert found["numba"] == ("FASTER" if turned and verdict == "SLOWER" else verdict)
    same = "numba forward: the machine's clock or memory changed as much, beside which it is the same"
    apart = "numba forward: the memory's limits are 1.50× apart, which may be why"
    said = {"SAME": same if ratio > 1 else "", "UNSURE": apart}
    assert first["note"] == said.get(verdict, "")


@pytest.mark.parametrize(("meeting", "said"), [(2.0e-6, False), (2.2e-6, True), (0.7e-6, True), (None, False)])
def test_cores_that_were_moved_are_told_once(meeting, said):
    old = [row(meeting=1.6e-6), row("numpy", meeting=1.6e-6)]
    report = compared(old, [row(meeting=meeting), row("numpy", meeting=meeting)])
    assert [each.startswith("threads took 1.60 µs to meet in old") for each in report.warnings[1:]] == [True] * said


def test_the_limits_raise_the_floor_of_their_own_place_only():
    old = [row(), limit(), row(cache="cold"), limit(cache="cold")]
    new = [row(time=1.15), limit(time=0.12), row(time=1.15, cache="cold"), limit(cache="cold")]
    _, found = verdicts(old, new)
    warm, memory, cold, _ = found
    assert warm["floor"] == pytest.approx(0.2, rel=0.02)
    assert warm["verdict"] == "UNSURE"
    assert memory["verdict"] == "SLOWER"  # of which the others are judged, not it itself
    assert cold["verdict"] == "SLOWER"


def test_a_limit_of_one_run_says_nothing():
    found, _ = verdicts([row(), limit()], [row(time=1.3)])
    assert found["numba"] == "SLOWER"


# The others.


@pytest.mark.parametrize("which", [0, 1])
def test_a_run_on_a_busy_machine_decides_nothing(which):
    for others, verdict in ((0.2, "SLOWER"), (1.2, "UNSURE")):
        rows = [row(), row(time=2.0)]
        rows[which]["others"] = others
        found, (only,) = verdicts([rows[0]], [rows[1]])
        assert found["numba"] == verdict
        assert only["note"].startswith("other processes used much of the machine") == (verdict == "UNSURE")


def test_busy_is_a_share_of_the_cores_that_are_known():
    assert drift.is_busy({"others": 1.0}, 2)
    assert not drift.is_busy({"others": 1.0}, 64)
    for known in ({}, {"others": None}):
        assert not drift.is_busy(known, 2)
    for cores in (None, "two", 1.5):
        assert not drift.is_busy({"others": 1.0}, cores)


def test_travel_is_how_far_the_medians_of_blocks_are_apart():
    assert statistics.travel([1.0] * 100) == 0
    assert statistics.travel([1.0] * 50 + [1.2] * 50) == pytest.approx(0.2)
    assert statistics.travel([1.2] * 50 + [1.0] * 50) == pytest.approx(0.2)
    assert statistics.travel([1.0, 9.0, 1.0] * 40) == 0  # outliers of a block do not move it
