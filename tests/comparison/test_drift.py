"""The machine may change between two runs: what is then said of the code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncli.benchmarking import clock, statistics
from bncli.comparison import drift
from bncli.comparison import verdicts as judging
from bncli.comparison.compare import NORMALISED, compare
from bncli.comparison.drift import Drift
from bncli.comparison.verdicts import LATENCIES, NO_DRIFT, Normaliser, Verdict
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


def test_the_clock_is_that_of_both_runs_or_none():
    assert drift.between(bench_row(clock=2.0), bench_row(clock=3.0), []) == Drift(1.5)
    for old, new in (({}, {"clock": 3.0}), ({"clock": 3.0}, {}), ({"clock": None}, {"clock": 3.0})):
        assert drift.between(bench_row(**old), bench_row(**new), []) == Drift()


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
    assert only["ratio"] == pytest.approx(ratio / (chain if only["beside"] else 1), rel=0.05)


# The threads.


def test_a_fork_join_latency_is_that_of_both_runs_or_none():
    alike = 1.2e-6  # as near as the noise of a meeting
    for old, new, apart in (
        (1e-6, 3e-6, 2e-6), (3e-6, 1e-6, 2e-6), (1e-6, alike, 0.0), (None, 3e-6, 0.0), (1e-6, None, 0.0),
    ):  # fmt: skip
        assert drift.between(bench_row(meeting=old), bench_row(meeting=new), []).latency_change == pytest.approx(apart)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("more", "verdict"), [(5e-6, "UNSURE"), (1e-6, "SAME"), (30e-6, "SLOWER")])
def test_what_threads_that_meet_later_may_explain_is_not_slower(more, verdict, turned):
    old, new = row(time=20e-6, meeting=1.2e-6), row(time=20e-6 + more, meeting=2.2e-6)
    assert drift.between(bench_row(**old), bench_row(**new), []).latency_change * LATENCIES == pytest.approx(20e-6)
    found, (only,) = verdicts(*([new], [old]) if turned else ([old], [new]))
    assert found["numba"] == ("FASTER" if turned and verdict == "SLOWER" else verdict)
    explained = "numba forward: the fork-join latency changed by 1.00 µs, which may be why"
    assert only["note"] == (explained if verdict == "UNSURE" else "")


# The memory.


def test_the_rooflines_differ_in_either_order():
    times = [(limit(time=1.0), limit(time=1.21)), (limit("add", 1.0), limit("add", 1.0))]
    pairs = [(bench_row(**old), bench_row(**new)) for old, new in times]
    for turned, factors in ((pairs, [1.21, 1.0]), ([(new, old) for old, new in pairs], [1 / 1.21, 1.0])):
        found = drift.between(bench_row(), bench_row(), turned)
        assert found.memory == pytest.approx(factors, rel=1e-3)
        assert found.roofline_change == pytest.approx(0.21, abs=1e-3)
    assert NO_DRIFT.roofline_change == 0.0


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("ratio", "copy", "add", "verdict", "beside"),
    [
        (1.5, 1.2, 1.5, "SAME", "add"),
        (1.2, 1.2, 1.5, "SAME", "copy"),
        (1.0, 1.2, 1.5, "SAME", ""),  # it does not wait for the memory
        (1.35, 1.2, 1.5, "UNSURE", ""),  # it may be both
        (1.7, 1.2, 1.5, "SLOWER", ""),  # beside either
        (1.15, 1.0, 1.0, "SLOWER", ""),
    ],
)
def test_what_the_memory_explains_is_the_same(ratio, copy, add, verdict, beside, turned):
    before = [row(), limit(), limit("add")]
    after = [row(time=ratio), limit(time=0.1 * copy), limit("add", 0.1 * add)]
    found, (first, *_) = verdicts(*((after, before) if turned else (before, after)))
    assert found["numba"] == ("FASTER" if turned and verdict == "SLOWER" else verdict)
    assert first["beside"] == beside
    apart = "numba forward: the memory rooflines of the two runs differ 1.50×, which may be why"
    assert first["note"] == (NORMALISED if beside else apart if verdict == "UNSURE" else "")


def shaken(samples, seed, by):
    """Samples of a machine that is by turns fast and slow, for many rounds."""
    pace = np.repeat(np.exp(np.random.default_rng(seed).normal(0, by, 6)), 10)
    return [float(sample * each) for sample, each in zip(samples, pace, strict=True)]


def on_a_shaken_machine(factor, seed, by=0.05):
    return [each | {"samples": shaken(each["samples"], seed, by)} for each in (row(time=factor), limit())]


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "SAME"), (1.02, "SAME"), (1.15, "SLOWER"), (1 / 1.15, "FASTER")])
def test_noise_of_the_whole_machine_is_seen_in_its_roofline(factor, verdict):
    for seed in range(10):
        found, (first, *_) = verdicts(on_a_shaken_machine(1.0, 2 * seed), on_a_shaken_machine(factor, 2 * seed + 1))
        assert (found["numba"], first["beside"]) == (verdict, "copy")
        assert first["ratio"] == pytest.approx(factor, rel=1e-3)
        assert first["note"] == NORMALISED


def test_what_shakes_the_machine_much_leaves_something():
    old, new = on_a_shaken_machine(1.0, 0, by=0.2), on_a_shaken_machine(1.15, 1, by=0.2)
    found, (first, *_) = verdicts(old, new)
    noise = judging.noise_floor(old[0]["samples"], new[0]["samples"])
    assert (found["numba"], first["beside"], first["floor"]) == ("UNSURE", "copy", pytest.approx(noise / 3))
    assert verdicts(old, on_a_shaken_machine(1.03, 1, by=0.2))[0]["numba"] == "SAME"


def test_a_limit_of_other_rounds_is_no_help():
    for other in ({"clock": 1.0}, {"samples": [0.1] * 50}):  # of another process, as with --isolate
        new = on_a_shaken_machine(1.15, 1, by=0.1)
        new[1] |= other
        found, (first, *_) = verdicts(on_a_shaken_machine(1.0, 0, by=0.1), new)
        assert (found["numba"], first["beside"]) == ("UNSURE", "")


def test_a_pass_is_compared_with_the_roofline_of_as_many_threads():
    old, new = (
        [row(time=factor, threads=2), limit(threads=1), limit(time=0.1 * factor, threads=2)] for factor in (1.0, 1.3)
    )
    found = compared(old, new).rows[0]
    assert (found["verdict"], found["beside"]) == ("SAME", "copy")
    old[0] |= {"threads": None}  # a kernel that chooses them itself
    new[0] |= {"threads": None, "samples": old[0]["samples"]}
    assert compared(old, new).rows[0]["verdict"] == "SAME"


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("processes", [(), [[6] * 10] * 2])
def test_the_power_is_that_by_which_times_follow_within_a_run(power, processes):
    def run(seed, factor):
        pace = np.repeat(np.exp(np.random.default_rng(seed).normal(0, 0.5, 10)), 6)
        return factor * pace**power, 0.1 * pace

    (old, before), (new, after) = run(0, 1.0), run(1, 1.7)
    # What the expected power of 1 weighs beside so much that is seen.
    assert judging.power(old, new, Normaliser("copy", before, after), processes) == pytest.approx(power, abs=0.05)
    still = judging.power([1.0] * 20, [3.0] * 20, Normaliser("copy", [0.1] * 20, [0.2] * 20))
    assert still == 1


@pytest.mark.parametrize(("follows", "power"), [(-1.0, 0.0), (9.0, judging.MOST_POWER)])
def test_the_power_is_of_what_a_machine_can_do(follows, power):
    pace = np.exp(np.random.default_rng(0).normal(0, 0.5, 60))
    assert judging.power(pace**follows, pace**follows, Normaliser("copy", pace, pace)) == power


@given(st.lists(st.tuples(*[st.floats(1e-12, 1e9)] * 4), min_size=1, max_size=40), st.sampled_from([(), [[1] * 5] * 2]))
def test_any_samples_have_a_verdict(samples, processes):
    old, new, before, after = map(list, zip(*samples, strict=True))
    processes = processes if len(samples) == 5 else ()
    found = judging.compare(old, new, limits=[Normaliser("copy", before, after)], processes=processes)
    assert found.verdict in Verdict
    assert found.ratio.low <= found.ratio.high


def test_half_the_power_is_expected_where_the_roofline_varies_so_much():
    pace = np.exp(judging.PRIOR_DEVIATION * np.repeat([-1, 1] * 5, 6))
    times = pace**0.6
    assert judging.power(times, times, Normaliser("copy", pace, pace)) == pytest.approx((0.6 + 1) / 2)


@pytest.mark.parametrize(("more", "verdict"), [(1.2, "SAME"), (1.3, "SLOWER")])
def test_what_varies_more_is_not_used(more, verdict):
    def wandering(by):
        return np.exp(by * np.repeat([-1, 1] * 5, 6))

    times, limits = wandering(more * 0.02), wandering(more * 0.02) / wandering(0.02)
    found = judging.compare(times, times, limits=[Normaliser("copy", limits, limits / 1.3)])
    assert (found.verdict, found.normaliser) == (verdict, "" if verdict == "SAME" else "copy")


@pytest.mark.parametrize(("meeting", "said"), [(2.0e-6, False), (2.2e-6, True), (0.7e-6, True), (None, False)])
def test_cores_that_were_moved_are_told_once(meeting, said):
    old = [row(meeting=1.6e-6), row("numpy", meeting=1.6e-6)]
    report = compared(old, [row(meeting=meeting), row("numpy", meeting=meeting)])
    assert [each.startswith("the fork-join latency was 1.60 µs in old") for each in report.warnings[1:]] == [
        True
    ] * said


def test_the_limits_raise_the_floor_of_their_own_place_only():
    old = [row(), limit(), row(cache="cold"), limit(cache="cold")]
    new = [row(time=1.15), limit(time=0.14), row(time=1.15, cache="cold"), limit(cache="cold")]
    _, found = verdicts(old, new)
    warm, memory, cold, _ = found
    assert warm["floor"] == pytest.approx(0.4, rel=0.02)
    assert warm["verdict"] == "UNSURE"  # slower, but faster beside its limit
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
