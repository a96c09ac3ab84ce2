"""A gate that is undecided has more samples: of what it needs, for a limited time."""

import numpy as np
import pytest

from bncli.benchmarking import processes
from bncli.benchmarking.conditions import UNKNOWN
from bncli.benchmarking.entries import CLOCK, MemoryEntry, PassEntry
from bncli.benchmarking.figures import Measured, Outcome, Rounds
from bncli.benchmarking.gate import FirstKernelGate
from bncli.benchmarking.passes import PassKey
from bncli.benchmarking.sampling import Rule, Stop
from bncli.benchmarking.settings import Settings
from bncli.benchmarking.timing import Sampled, Sampling, interleave
from bncli.core.kernel import Kernel
from bncli.kernels.numpy import KERNEL as NUMPY
from planted import bench_row
from planted_clock import Machine, alone


def passes(kernel, direction="forward", again=False):
    return PassEntry(PassKey(kernel, direction), again)


def interleaved(undecided, gate_time, max_time=0.1):
    """What is sampled of a call a and a call b, each of a millisecond."""
    machine = Machine()
    timed = alone({name: machine.call(name, 1e-3) for name in "ab"})
    rule = Rule(max_time, 0.0, gate_time, undecided)
    found = interleave(timed, rule, clock=machine.clock)
    return {name: len(each.samples) for name, each in found.sampled.items()}, found.stopped


def test_what_is_undecided_is_sampled_on_until_it_is_decided_or_the_time_is_up():
    before, stopped = interleaved(lambda samples: (), gate_time=1.0)
    assert stopped is Stop.TIME
    assert before["a"] == before["b"]
    counts, stopped = interleaved(lambda samples: {"a"} if len(samples["a"]) < 200 else (), gate_time=1.0)
    assert stopped is Stop.DECIDED
    assert counts["b"] == before["b"]
    assert 200 <= counts["a"] <= 1.25 * 200
    counts, stopped = interleaved(lambda samples: {"a"}, gate_time=1.0)
    assert stopped is Stop.GATE_TIME
    assert counts["b"] == before["b"]
    assert counts["a"] > 1.5 * 200


@pytest.mark.parametrize("gate_time", [0.0, 0.1])
def test_a_gate_time_that_is_no_longer_adds_nothing(gate_time):
    counts, stopped = interleaved(lambda samples: {"a"}, gate_time)
    assert (counts["a"] - counts["b"], stopped) == (0, Stop.TIME)


def test_what_was_left_out_once_is_not_sampled_again_since_its_rounds_have_a_gap():
    asked = iter([{"a"}, {"a", "b"}, {"b"}])
    counts, stopped = interleaved(lambda samples: next(asked), gate_time=1.0)
    assert counts["b"] < counts["a"]
    assert stopped is Stop.DECIDED


def test_an_undecided_call_that_fails_ends_the_sampling():
    machine = Machine()
    timed = alone({"a": machine.call("a", 1e-3), "b": machine.call("b", 1e-3)})

    def undecided(samples):
        def fail():
            raise ValueError("no more")

        timed["a"].calls[0] = fail
        return {"a"}

    found = interleave(timed, Rule(0.1, 0.0, 1.0, undecided), clock=machine.clock)
    assert str(found.failed["a"]) == "no more"
    assert set(found.sampled) == {"b"}


def rounds(case, **samples):
    entries = {
        "main": passes("main"), "again": passes("main", again=True), "mine": passes("mine"), "other": passes("other"),
        "back": passes("mine", "backward"), "clock": CLOCK, "copy": MemoryEntry("copy", "loop", "warm", None),
    }  # fmt: skip
    return Rounds(
        case, [Sampling({entries[n]: Sampled(1, s) for n, s in samples.items()}, Stop.TIME, {})], UNKNOWN, "main"
    )


STEADY, SHAKEN = tuple([1.0, 1.01] * 20), tuple([0.8, 1.3] * 20)


def test_the_gate_needs_the_undecided_pass_and_the_two_timings_it_is_judged_by(make_case):
    case, gate = make_case("5x4"), FirstKernelGate(1.10)
    known = {"main": STEADY, "again": STEADY, "clock": STEADY, "copy": STEADY, "back": SHAKEN}
    needed = {passes("main"), passes("main", again=True), passes("mine")}
    assert gate.undecided(rounds(case, **known, mine=SHAKEN, other=STEADY)) == needed
    assert gate.undecided(rounds(case, **known, mine=STEADY, other=STEADY)) == set()
    slower = tuple(2 * sample for sample in STEADY)
    assert gate.undecided(rounds(case, **known, mine=slower, other=STEADY)) == set()
    alone = {"main": STEADY, "mine": SHAKEN}
    assert gate.undecided(rounds(case, **alone)) == {passes("main"), passes("mine")}


def test_a_pass_that_was_sampled_for_longer_is_compared_in_the_common_rounds(make_case):
    found = rounds(make_case("5x4"), main=STEADY, again=STEADY, mine=(*STEADY, 9.0, 9.0, 9.0), other=STEADY[:10])
    for kernel, count in (("mine", 43), ("other", 10)):
        row = found.with_figures(Outcome(PassKey(kernel, "forward"), 1, bench_row(), True))
        assert (row["rounds"], row["processes"], row["speedup"]) == (count, [count], pytest.approx(1.0))


def test_processes_are_added_until_the_gate_is_decided_or_its_time_is_up(make_case, monkeypatch):
    case, kernel = make_case("5x4"), Kernel(NUMPY.forward, NUMPY.backward, name="main")
    settings = Settings(directions=("forward",), max_time=1.0, processes=2, gate=FirstKernelGate(1.10), gate_time=3.0)

    def counted(noise):
        shares = []

        def measured(case, kernels, share):
            shares.append((share.max_time, share.gate))
            rng = np.random.default_rng(len(shares))
            times = {
                passes(name, again=again): Sampled(1, tuple(rng.lognormal(0, noise(len(shares)), 20)))
                for name, again in (("main", False), ("main", True), ("mine", False))
            }
            outcomes = [Outcome(PassKey(name, "forward"), 1, bench_row(kernel=name), True) for name in ("main", "mine")]
            return Measured(outcomes, Sampling(times, Stop.TIME, {}), UNKNOWN)

        monkeypatch.setattr(processes, "_elsewhere", measured)
        rows = processes.rows_of_processes(case, [kernel], settings)
        assert set(shares) == {(0.5, None)}
        assert {tuple(row["processes"]) for row in rows} == {(20,) * len(shares)}
        return len(shares), {row["stopped"] for row in rows}

    assert counted(lambda number: 0.001) == (2, {"time"})
    assert counted(lambda number: 1.0) == (6, {"gate-time"})
    assert counted(lambda number: 1.0 if number < 3 else 1e-4) == (3, {"decided"})
