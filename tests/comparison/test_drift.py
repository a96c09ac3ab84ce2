"""The machine may change between two runs: what is then said of the code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncli.benchmarking import clock, statistics
from bncli.comparison import drift
from bncli.comparison import verdicts as judging
from bncli.comparison.compare import compare
from bncli.comparison.pair_rows import NORMALISED
from bncli.comparison.verdicts import Normaliser, Verdict
from bncli.core.report import Column, Report
from planted import bench_row

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


def test_the_clock_is_that_of_both_runs_or_1():
    assert drift.clock_ratio(bench_row(clock=2.0), bench_row(clock=3.0)) == 1.5
    for old, new in (({}, {"clock": 3.0}), ({"clock": 3.0}, {}), ({"clock": None}, {"clock": 3.0})):
        assert drift.clock_ratio(bench_row(**old), bench_row(**new)) == 1.0
    _, (only,) = verdicts([row(clock=1.0)], [row(clock=1.15)])
    assert only["clock"] == pytest.approx(1.15)


# The threads.


@pytest.mark.parametrize(
    ("old", "new", "moved"), [(1e-6, 3e-6, True), (3e-6, 1e-6, True), (1e-6, 1.2e-6, False), (None, 3e-6, False)]
)
def test_cores_are_moved_if_the_latencies_of_both_runs_differ_by_more_than_their_noise(old, new, moved):
    found = drift.fork_join(bench_row(meeting=old), bench_row(meeting=new))
    assert found == ((old, new) if moved else None)


# The memory.


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("ratio", "copy", "add", "verdict", "beside"),
    [
        (1.5, 1.2, 1.5, "SAME", "add"),
        (1.2, 1.2, 1.5, "SAME", "copy"),
        (1.0, 1.2, 1.5, "SAME", ""),  # it does not wait for the memory
        (1.35, 1.2, 1.5, "UNSURE", ""),  # slower than as measured and relative to copy, faster relative to add
        (1.7, 1.2, 1.5, "SLOWER", ""),  # in each comparison
        (1.15, 1.0, 1.0, "SLOWER", ""),
    ],
)
def test_what_the_memory_explains_is_the_same(ratio, copy, add, verdict, beside, turned):
    before = [row(), limit(), limit("add")]
    after = [row(time=ratio), limit(time=0.1 * copy), limit("add", 0.1 * add)]
    found, (first, *_) = verdicts(*((after, before) if turned else (before, after)))
    assert found["numba"] == ("FASTER" if turned and verdict == "SLOWER" else verdict)
    assert first["beside"] == beside
    assert first["note"] == (NORMALISED if beside else "")


@pytest.mark.parametrize(
    ("ratio", "copy", "gate"),
    [
        (1.0, 1.0, "PASS"),
        (1.5, 1.5, "PASS"),  # no slower, relative to the memory
        (1.5, 1.0, "SLOWER"),
        (1.5, 1.3, "SLOWER"),
        (1.09, 0.95, "PASS"),  # as measured
    ],
)
def test_a_gate_fails_if_every_comparison_does_and_passes_if_one_does(ratio, copy, gate):
    reports = [
        Report("bench", (), [row(time=time), limit(time=memory)], environment={"cpu": "a", "cores": CORES})
        for time, memory in ((1.0, 0.1), (ratio, 0.1 * copy))
    ]
    found = compare(*reports, fail_slower=1.10)
    assert found.rows[0]["gate"] == gate
    assert (len(found.failures), found.unsure) == (gate == "SLOWER", [])
    assert "gate" not in found.rows[1]


def shaken(samples, seed, by):
    """Samples of a machine that is by turns fast and slow, for many rounds."""
    pace = np.repeat(np.exp(np.random.default_rng(seed).normal(0, by, 6)), 10)
    return [float(sample * each) for sample, each in zip(samples, pace, strict=True)]


def on_a_shaken_machine(factor, seed, by=0.05):
    return [each | {"samples": shaken(each["samples"], seed, by)} for each in (row(time=factor), limit())]


@pytest.mark.parametrize("factor", [1.0, 1.02])
def test_noise_of_the_whole_machine_is_seen_in_its_roofline(factor):
    for seed in range(10):
        found, (first, *_) = verdicts(on_a_shaken_machine(1.0, 2 * seed), on_a_shaken_machine(factor, 2 * seed + 1))
        assert found["numba"] == "SAME"
        if first["beside"]:
            assert first["ratio"] == pytest.approx(factor, rel=1e-3)
        assert first["note"] == (NORMALISED if first["beside"] else "")


@pytest.mark.parametrize("factor", [1.15, 1 / 1.15])
def test_a_difference_relative_to_the_roofline_alone_is_not_slower_or_faster(factor):
    for seed in range(10):
        found, _ = verdicts(on_a_shaken_machine(1.0, 2 * seed, 0.1), on_a_shaken_machine(factor, 2 * seed + 1, 0.1))
        assert found["numba"] in ("UNSURE", "SAME")


@pytest.mark.parametrize(
    "other", [{}, {"clock": 1.0}, {"samples": [0.1] * 61}]
)  # of another process, as with --isolate
def test_a_limit_of_other_rounds_is_no_help(other):
    old, new = on_a_shaken_machine(1.0, 0, by=0.2), on_a_shaken_machine(1.03, 1, by=0.2)
    new[1] |= other
    found, (first, *_) = verdicts(old, new)
    assert (found["numba"], first["beside"]) == (("UNSURE", "") if other else ("SAME", "copy"))


def test_a_pass_is_compared_with_the_roofline_of_as_many_threads():
    old, new = (
        [row(time=factor, threads=2), limit(threads=1), limit(time=0.1 * factor, threads=2)] for factor in (1.0, 1.3)
    )
    found = compared(old, new).rows[0]
    assert (found["verdict"], found["beside"]) == ("SAME", "copy")
    old[0] |= {"threads": None}  # a kernel that chooses them itself
    new[0] |= {"threads": None, "samples": old[0]["samples"]}
    assert compared(old, new).rows[0]["verdict"] == "SAME"


def test_a_pass_that_a_gate_sampled_for_longer_is_relative_to_the_roofline_of_the_same_rounds():
    old, new = on_a_shaken_machine(1.0, 0, by=0.2), on_a_shaken_machine(1.03, 1, by=0.2)
    new[0]["samples"] += [9.0] * 50
    limit = Normaliser("copy", old[1]["samples"], new[1]["samples"])
    _, relative = judging.compare(old[0]["samples"], new[0]["samples"], [limit])
    assert (relative.verdict, relative.ratio.value) == (Verdict.SAME, pytest.approx(1.03, rel=1e-3))
    found, _ = verdicts(old, new)
    assert found["numba"] == "SAME"


@given(st.lists(st.tuples(*[st.floats(1e-12, 1e9)] * 4), min_size=1, max_size=40), st.sampled_from([(), [[1] * 5] * 2]))
def test_any_samples_have_a_verdict(samples, processes):
    old, new, before, after = map(list, zip(*samples, strict=True))
    processes = processes if len(samples) == 5 else ()
    found = judging.agreed(judging.compare(old, new, [Normaliser("copy", before, after)], processes))
    assert found.verdict in Verdict
    assert found.ratio.low <= found.ratio.high


@pytest.mark.parametrize(("meeting", "said"), [(2.0e-6, False), (2.2e-6, True), (0.7e-6, True), (None, False)])
def test_cores_that_were_moved_are_told_once(meeting, said):
    old = [row(meeting=1.6e-6), row("numpy", meeting=1.6e-6)]
    report = compared(old, [row(meeting=meeting), row("numpy", meeting=meeting)])
    assert [each.startswith("the fork-join latency was 1.60 µs in old") for each in report.warnings[1:]] == [
        True
    ] * said


def test_the_limits_are_those_of_the_same_place():
    old = [row(), limit(), row(cache="cold"), limit(cache="cold")]
    new = [row(time=1.4), limit(time=0.14), row(time=1.4, cache="cold"), limit(cache="cold")]
    _, found = verdicts(old, new)
    warm, memory, cold, _ = found
    assert (warm["verdict"], warm["beside"]) == ("SAME", "copy")
    assert memory["verdict"] == "SLOWER"  # of which the others are judged, not it itself
    assert cold["verdict"] == "SLOWER"


def test_a_limit_of_one_run_says_nothing():
    found, _ = verdicts([row(), limit()], [row(time=1.3)])
    assert found["numba"] == "SLOWER"


# The others.


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(("time", "idle"), [(2.0, "SLOWER"), (1.05, "SAME"), (1.0, "SAME")])
def test_a_run_on_a_busy_machine_decides_nothing(which, time, idle):
    for others, verdict in ((0.2, idle), (1.2, "UNSURE")):
        rows = [row(), row(time=time)]
        rows[which]["others"] = others
        found, (only,) = verdicts([rows[0]], [rows[1]])
        assert found["numba"] == verdict
        assert only["note"].startswith("other processes used much of the machine") == (verdict == "UNSURE")


def test_busy_is_a_share_of_the_cores_that_are_known():
    assert drift.is_busy(bench_row(others=1.0), 2)
    assert not drift.is_busy(bench_row(others=1.0), 64)
    for known in ({}, {"others": None}):
        assert not drift.is_busy(bench_row(**known), 2)
    for cores in (None, "two", 1.5):
        assert not drift.is_busy(bench_row(others=1.0), cores)


def test_travel_is_the_range_of_the_medians_of_blocks():
    assert statistics.block_range([1.0] * 100) == 0
    assert statistics.block_range([1.0] * 50 + [1.2] * 50) == pytest.approx(0.2)
    assert statistics.block_range([1.2] * 50 + [1.0] * 50) == pytest.approx(0.2)
    assert statistics.block_range([1.0, 9.0, 1.0] * 40) == 0  # outliers of a block do not move it
