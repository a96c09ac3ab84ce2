"""Rounds: what is prepared for each, when they end, and what they survive, on a clock that only the calls move."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncli.benchmarking import statistics
from bncli.benchmarking.ready import Ready
from bncli.benchmarking.sampling import Rule, Stop
from bncli.benchmarking.timing import (
    FEWEST_ROUNDS,
    LONG,
    Timed,
    interleave,
)
from bncli.core.kernel import Prepared
from planted_clock import Machine, alone, sampled


def test_results_are_kept_alive_only_where_that_is_asked_for():
    alive, most = set(), {}

    class Result:
        def __init__(self):
            alive.add(id(self))
            most[self.name] = max(most.get(self.name, 0), len(alive))

        def __del__(self):
            alive.discard(id(self))

    machine = Machine()
    for name, keep in (("none", 0), ("some", 5)):
        work = machine.call(name, 1e-3)
        kind = type(name, (Result,), {"name": name})
        interleave({name: Timed([lambda work=work, kind=kind: (work(), kind())[1]], keep=keep)}, Rule(0.1, 0.0),
                   clock=machine.clock)  # fmt: skip
    assert most["none"] == 1
    assert most["some"] == 6  # those, and the one that is made


def test_what_prepares_a_sample_and_warms_it_is_not_timed():
    machine = Machine()

    def prepare():
        machine.now += 1.0
        machine.log.append("prepare")

    def call():
        # Whatever was timed before has left it cold.
        machine.now += 3e-3 if machine.log[-1] == "prepare" else 1e-3
        machine.log.append("call")

    timed = Timed([call], prepare, warming=1.5e-3)
    found = interleave({"call": timed}, Rule(0.0), clock=machine.clock).sampled["call"]
    assert found.samples == pytest.approx([1e-3] * FEWEST_ROUNDS)
    first, *later = [part.count("call") for part in " ".join(machine.log).split("prepare")[1:]]
    assert first == 2  # nobody knows yet how long a call lasts
    assert later == [3] * len(later)


@pytest.mark.parametrize(
    ("warming", "seconds", "before"),
    [(None, 1e-3, 0), (0.0, 1e-3, 1), (1e-3, 3e-4, 4), (1e-3, 0.9 * LONG, 1), (1e-3, 1.1 * LONG, 0)],
)
def test_calls_before_a_sample_last_as_long_as_asked_but_long_ones_need_none(warming, seconds, before):
    machine = Machine()
    timed = Timed([machine.call("call", seconds)], lambda: machine.log.append("prepare"), warming)
    interleave({"call": timed}, Rule(0.0), clock=machine.clock)
    assert machine.log[-before - 2 :] == ["prepare", *["call"] * (before + 1)]


def made(machine, forward, backward):
    """A backward of so many seconds that a forward makes ready in so many."""
    forward, backward = machine.call("forward", forward), machine.call("backward", backward)
    return lambda: (forward(), Ready(Prepared(backward, lambda found: found)))[1]


def test_a_batch_is_made_ready_before_it_is_timed():
    machine = Machine()
    timed = Timed(makes=[made(machine, 1e-4, 1e-4)] * 4, batch=4)
    found = interleave({"a": timed}, Rule(0.0), clock=machine.clock, cpu_clock=machine.clock).sampled["a"]
    assert found.samples == pytest.approx([1e-4] * FEWEST_ROUNDS)
    assert machine.log[-4:] == ["forward"] * 2 + ["backward"] * 2
    machine.log.clear()
    interleave({"a": timed._replace(batch=1)}, Rule(0.0), clock=machine.clock)
    assert machine.log == ["forward", "backward"] * (len(machine.log) // 2)


def test_with_cold_caches_calls_are_made_ready_long_before_they_are_timed():
    machine = Machine()
    timed = Timed(makes=[made(machine, 0.0, 1e-3)] * 3, batch=3, ahead=True)
    interleave({"a": timed}, Rule(0.0), clock=machine.clock)
    assert machine.log[:5] == ["forward"] * 3 + ["backward", "forward"]


def test_what_makes_calls_ready_is_not_repeated_for_long():
    machine = Machine()
    timed = {"a": Timed(makes=[made(machine, 1.0, 1e-6)], batch=1, warming=1e-3, share=0.5),
             "b": Timed([machine.call("b", 1.0)])}  # fmt: skip
    found = interleave(timed, Rule(0.0), clock=machine.clock).sampled["a"]
    assert found.samples == pytest.approx([1e-6] * FEWEST_ROUNDS)
    assert machine.log.count("forward") < 15


def test_a_second_call_is_prepared_while_the_clock_stands():
    machine = Machine()

    def then(found):
        machine.now += 1.0
        return Prepared(machine.call("backward", 1e-3), None)

    ready = Ready(Prepared(machine.call("forward", 2e-3), None), then=then)
    found = interleave({"a": Timed(makes=[lambda: ready], batch=1)}, Rule(0.0), clock=machine.clock).sampled["a"]
    assert found.samples == pytest.approx([3e-3] * FEWEST_ROUNDS)


def test_cores_are_cpu_time_relative_to_the_time_once_that_is_long_enough():
    for seconds, cores in ((1e-3, None), (1e-2, 2.0)):
        machine = Machine()
        timed = alone({"a": machine.call("a", seconds)})
        found = interleave(timed, Rule(0.0), clock=machine.clock, cpu_clock=lambda own=machine: 2 * own.now)
        assert found.sampled["a"].cores == (cores and pytest.approx(cores))


def test_slow_calls_still_get_the_fewest_rounds():
    machine = Machine()
    shares = []
    timed = alone({"slow": machine.call("slow", 60.0)})
    found = interleave(timed, Rule(0.5), on_progress=lambda share, so_far: shares.append(share), clock=machine.clock)
    assert len(found.sampled["slow"].samples) == FEWEST_ROUNDS
    assert found.stopped is Stop.TIME
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_no_time_at_all_is_the_fewest_rounds():
    assert len(sampled(Machine(), 0.0, a=[0.01]).sampled["a"].samples) == FEWEST_ROUNDS


def test_it_stops_when_all_are_precise_and_not_before():
    machine = Machine()
    found = sampled(machine, 100.0, 0.01, steady=[0.01], other=[0.03])
    assert found.stopped is Stop.PRECISE
    assert machine.now < 30
    wild = [0.02 if i % 2 else 0.01 for i in range(10_000)]
    found = sampled(machine, 30.0, 0.01, steady=[0.01], wild=wild)
    assert found.stopped is not Stop.PRECISE
    assert sampled(Machine(), 10.0, 0.0, steady=[0.01]).stopped is Stop.TIME


def test_what_raises_while_it_is_timed_loses_its_samples_and_stops_nobody_else():
    machine = Machine()
    calls = 0

    def fail():
        nonlocal calls
        calls += 1
        machine.now += 1e-3
        if calls > 5:
            raise OverflowError

    timed = alone({"failing": fail, "fine": machine.call("fine", 1e-3)})
    found = interleave(timed, Rule(0.1, 0.0), clock=machine.clock)
    assert set(found.sampled) == {"fine"}
    assert isinstance(found.failed["failing"], OverflowError)
    assert len(found.sampled["fine"].samples) > FEWEST_ROUNDS
    assert interleave(alone({"failing": fail}), Rule(0.1), clock=machine.clock).sampled == {}


def test_garbage_collection_rests_while_sampling_and_returns_even_after_an_interruption():
    states = []
    machine = Machine()
    work = machine.call("failing", 1.0)

    def fail():
        work()
        states.append(gc.isenabled())
        if len(states) > 3:
            raise KeyboardInterrupt

    assert gc.isenabled()
    with pytest.raises(KeyboardInterrupt):
        interleave(alone({"failing": fail}), Rule(1e9), clock=machine.clock)
    assert not any(states)
    assert gc.isenabled()


def test_drift_leaves_the_speedup_alone():
    # The machine slows down tenfold in the middle; a median of each alone would depend on where.
    drift = [1.0] * 10 + [10.0] * 11
    baseline = [2e-3 * d for d in drift]
    faster = [1e-3 * d for d in drift]
    assert statistics.speedup(baseline, faster) == pytest.approx(2)
    assert statistics.speedup(faster, baseline) == pytest.approx(0.5)


def test_one_outlier_moves_neither_spread_nor_speedup():
    samples = [1.0, 1.1, 0.9, 1.0, 50.0]
    assert statistics.spread(samples) == pytest.approx(0.1)
    assert statistics.speedup([1.0] * 5, samples) == pytest.approx(1.0)


@given(st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=30), st.floats(1e-3, 1e3))
def test_statistics_do_not_depend_on_the_unit(samples, unit):
    assert statistics.spread([unit * s for s in samples]) == pytest.approx(statistics.spread(samples), abs=1e-9)
    assert statistics.speedup(samples, samples) == 1
