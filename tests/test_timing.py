"""Timing and its statistics, on a clock that only the calls move."""

import gc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncli.benchmarking import statistics
from bncli.benchmarking.buffers import outputs_for
from bncli.benchmarking.passes import FRESH, GIVEN, MOVED, passes
from bncli.benchmarking.sampling import Rule, Stop
from bncli.benchmarking.timing import (
    FEWEST_ROUNDS,
    LONG,
    SHORTEST_SAMPLE,
    STEPS,
    Sampled,
    Sampling,
    Timed,
    first_call,
    interleave,
    joined,
    step_of,
)
from bncli.loading.registry import load_kernel


class Machine:
    """A clock, and calls that take their planned time on it; every call is written down."""

    def __init__(self):
        self.now = 0.0
        self.log = []

    def clock(self):
        return self.now

    def call(self, name, *durations):
        planned = iter(durations)
        last = durations[-1]

        def run():
            self.log.append(name)
            self.now += next(planned, last)

        return run


def alone(calls):
    return {name: Timed([call]) for name, call in calls.items()}


def sampled(machine, max_time, precision=0.0, **calls):
    """The samples of calls of a few durations, in seconds; the last is repeated."""
    timed = alone({name: machine.call(name, *durations) for name, durations in calls.items()})
    return interleave(timed, Rule(max_time, precision), clock=machine.clock)


def test_first_call_is_timed_apart():
    machine = Machine()
    call = machine.call("numba", 8.0, 0.01)
    assert first_call(call, machine.clock) == 8.0
    found = interleave(alone({"numba": call}), Rule(1.0), clock=machine.clock).sampled["numba"]
    assert max(found.samples) == pytest.approx(0.01)


def test_samples_are_taken_in_turns_and_in_changing_order():
    machine = Machine()
    timed = alone({name: machine.call(name, 0.002) for name in "abc"})
    found = interleave(timed, Rule(1.0, 0.0), seed=3, clock=machine.clock).sampled
    rounds = [tuple(machine.log[i : i + 3]) for i in range(9, len(machine.log), 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len(set(rounds)) == 6
    assert {len(each.samples) for each in found.values()} == {len(rounds)}
    assert machine.now == pytest.approx(1.0, abs=0.03)


def test_the_order_is_seeded():
    logs = []
    for _ in range(2):
        machine = Machine()
        timed = alone({name: machine.call(name, 0.01) for name in "abcd"})
        interleave(timed, Rule(1.0, 0.0), seed=7, clock=machine.clock)
        logs.append(machine.log)
    assert logs[0] == logs[1]


def test_short_calls_are_repeated_until_a_sample_is_long_enough():
    fast = sampled(Machine(), 0.1, fast=[1e-6]).sampled["fast"]
    assert SHORTEST_SAMPLE <= fast.calls * 1e-6 < 3 * SHORTEST_SAMPLE
    assert fast.samples == pytest.approx([1e-6] * len(fast.samples))


def test_a_coarse_clock_takes_longer_samples():
    machine = Machine()
    step = 1e-4

    def clock():
        machine.now += step / 10
        return machine.now // step * step

    assert step_of(clock) == pytest.approx(step)
    timed = alone({"fast": machine.call("fast", 1e-6)})
    fast = interleave(timed, Rule(0.0), clock=clock).sampled["fast"]
    assert fast.calls * 1e-6 >= 0.99 * STEPS * step


@pytest.mark.parametrize("slow", [1, 2])
def test_a_slow_first_try_does_not_make_samples_short(slow):
    # An interruption while the calls of a sample are counted makes one call look long enough.
    fast = sampled(Machine(), 0.1, fast=[1e-2] * slow + [1e-6]).sampled["fast"]
    assert fast.calls * 1e-6 >= SHORTEST_SAMPLE


def test_samples_that_turn_out_short_get_more_calls():
    # The machine was slow all the while that they were counted.
    fast = sampled(Machine(), 0.1, fast=[1e-2] * 3 + [1e-6]).sampled["fast"]
    assert fast.calls * 1e-6 >= SHORTEST_SAMPLE / 2
    assert fast.samples == pytest.approx([1e-6] * len(fast.samples))


def test_samples_last_their_share_of_the_longest_call():
    machine = Machine()
    calls = {"long": 0.1, "short": 1e-3, "alone": 1e-3}
    timed = {name: Timed([machine.call(name, lasts)], share=0.5 * (name != "alone")) for name, lasts in calls.items()}
    found = interleave(timed, Rule(2.0, 0.0), clock=machine.clock).sampled
    assert {name: each.calls for name, each in found.items()} == {"long": 1, "short": 32, "alone": 1}


@pytest.mark.parametrize(("slow", "calls"), [(0.03, 2), (0.002, 32)])
def test_long_samples_get_fewer_calls_only_where_they_last_far_longer_than_they_should(slow, calls):
    machine = Machine()
    quick = [1e-3] * 500
    timed = {
        "long": Timed([machine.call("long", 0.1)]),
        "short": Timed([machine.call("short", *quick, slow)], share=0.5),
    }
    assert interleave(timed, Rule(5.0, 0.0), clock=machine.clock).sampled["short"].calls == calls


def test_samples_of_several_processes_are_joined_for_what_none_failed_at():
    first = Sampling({"a": Sampled(1, (1.0, 2.0)), "b": Sampled(1, (5.0,))}, Stop.TIME, {})
    last = Sampling({"a": Sampled(4, (3.0,))}, Stop.PRECISE, {"b": ValueError()})
    found = joined([first, last])
    assert found.sampled == {"a": Sampled(4, (1.0, 2.0, 3.0))}
    assert (found.stopped, list(found.failed)) == (Stop.TIME, ["b"])
    assert joined([last]) == last


def test_calls_that_become_slow_do_not_keep_everybody_waiting():
    # Threads that must share a core wait for one another: 10 ms for what takes 1 µs.
    found = sampled(Machine(), 5.0, starved=[1e-6] * 5000 + [1e-2]).sampled["starved"]
    assert found.calls < 10
    assert found.samples[-1] == pytest.approx(1e-2)


def test_one_long_interruption_leaves_samples_long_enough():
    quick = [1e-6] * 5000
    found = sampled(Machine(), 2.0, interrupted=[*quick, 1.0, *quick]).sampled["interrupted"]
    assert SHORTEST_SAMPLE / 2 <= found.calls * 1e-6 < 3 * SHORTEST_SAMPLE
    assert max(found.samples) > 1e-3  # kept


def test_calls_on_different_arrays_take_turns_across_all_that_share_them():
    machine = Machine()
    timed = {
        name: Timed([machine.call((name, copy), 0.15e-3) for copy in range(3)]) for name in "ab"
    }  # two calls a sample
    interleave(timed, Rule(0.0), clock=machine.clock)
    copies = [copy for _, copy in machine.log]
    assert copies == [number % 3 for number in range(len(copies))]


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


def test_between_rounds_the_inputs_can_change():
    machine = Machine()
    interleave(alone({"a": machine.call("a", 1e-3)}), Rule(0.0), between=lambda: machine.log.append("between"),
               clock=machine.clock)  # fmt: skip
    assert machine.log[-4:] == ["a", "between"] * 2


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


def training(kernel, case):
    y, saved = kernel.forward(case.x, case.gamma, case.beta, case.problem.epsilon)
    return y, kernel.backward(case.dy, saved)


def test_passes_are_those_of_the_kernel(make_case):
    case = make_case("5x4x4x3")
    kernel = load_kernel("numpy")
    found = passes(kernel, [case], tuple(MOVED))
    assert [each.key.direction for each in found] == list(MOVED)
    assert {each.key.outputs for each in found} == {FRESH}
    forward, backward, infer = (each.calls[0] for each in found)
    y, gradients = training(kernel, case)
    assert (forward()[0] == y).all()
    for actual, expected in zip(backward(), gradients, strict=True):
        assert (actual == expected).all()
    expected = case.gamma[:, None] * case.x / np.sqrt(1 + case.problem.epsilon) + case.beta[:, None]
    np.testing.assert_allclose(infer(), expected, rtol=1e-12)
    for each in found:
        assert each.first > 0
        for first, second in zip(each.results().values(), each.results().values(), strict=True):
            assert not np.shares_memory(first, second)


def test_results_have_the_names_that_verification_gives_them(make_case):
    case = make_case("5x4x4x3")
    kernel = load_kernel("numpy")
    y, gradients = training(kernel, case)
    forward, backward, infer = (each.results() for each in passes(kernel, [case], tuple(MOVED)))
    assert (forward["y"] == y).all()
    assert list(backward) == ["dx", "dgamma", "dbeta"]
    assert (backward["dx"] == gradients[0]).all()
    assert list(infer) == ["infer"]


def test_there_is_a_call_for_each_copy_of_the_case(make_case):
    copies = [make_case("5x4x4x3", seed) for seed in range(3)]
    kernel = load_kernel("numpy")
    for outputs in ([], [outputs_for(copies[0])], [outputs_for(copy) for copy in copies]):
        forward, backward = passes(kernel, copies, outputs=outputs)
        for copy, forth, back in zip(copies, forward.calls, backward.calls, strict=True):
            y, gradients = training(kernel, copy)
            assert (forth()[0] == y).all()
            assert (back()[0] == gradients[0]).all()
    assert forward.calls[1]()[0] is outputs[1].y


def test_given_outputs_are_written_to_every_time(make_case):
    case = make_case("5x4x4x3")
    kernel = load_kernel("numpy")
    outputs = outputs_for(case)
    found = passes(kernel, [case], tuple(MOVED), [outputs])
    assert {each.key.outputs for each in found} == {GIVEN}
    forward, backward, infer = (each.calls[0] for each in found)
    y, gradients = training(kernel, case)
    outputs.poison()
    assert forward()[0] is outputs.y
    assert (outputs.y == y).all()
    assert infer() is outputs.y
    # Neither forward nor inference, writing where they all write, changed what backward starts from.
    assert all(actual is given for actual, given in zip(backward(), outputs.gradients, strict=True))
    for actual, expected in zip(outputs.gradients, gradients, strict=True):
        assert (actual == expected).all()


def test_a_kernel_that_saves_its_output_is_not_confused_by_what_others_write_there(make_case):
    case = make_case("5x4x4x3")
    numpy = load_kernel("numpy")

    def forward(x, gamma, beta, epsilon, *, out=None):
        y, saved = numpy.forward(x, gamma, beta, epsilon, out=out)
        return y, (y, saved)

    def backward(dy, saved, *, out=None):
        y, rest = saved
        assert np.isfinite(y).all()
        return numpy.backward(dy, rest, out=out)

    outputs = outputs_for(case)
    found = passes(replace(numpy, forward=forward, backward=backward), [case], outputs=[outputs])
    outputs.poison()
    assert np.isnan(outputs.y).all()
    found[1].calls[0]()


def test_a_kernel_without_inference_has_no_such_pass(make_case):
    kernel = replace(load_kernel("numpy"), infer=None)
    found = passes(kernel, [make_case("5x4x4x3")], ("infer", "forward"))
    assert [each.key.direction for each in found] == ["forward"]
