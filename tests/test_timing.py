"""Timing and its statistics, on a clock that only the calls move."""

import gc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bncli.benchmarking import statistics
from bncli.benchmarking.passes import FRESH, GIVEN, MOVED, outputs_for, passes, writing_into
from bncli.benchmarking.timing import FEWEST_ROUNDS, SHORTEST_SAMPLE, first_call, interleave
from bncli.core.loading import load_kernel


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


def test_first_call_is_timed_apart():
    machine = Machine()
    call = machine.call("numba", 8.0, 0.01)
    assert first_call(call, machine.clock) == 8.0
    sampled = interleave({"numba": call}, 1.0, clock=machine.clock)["numba"]
    assert max(sampled.samples) == pytest.approx(0.01)


def test_samples_are_taken_in_turns_and_in_changing_order():
    machine = Machine()
    calls = {name: machine.call(name, 0.002) for name in "abc"}
    sampled = interleave(calls, 1.0, seed=3, clock=machine.clock)
    rounds = [tuple(machine.log[i : i + 3]) for i in range(3, len(machine.log), 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len(set(rounds)) == 6
    assert {len(each.samples) for each in sampled.values()} == {len(rounds)}
    assert machine.now == pytest.approx(1.0, abs=0.02)


def test_the_order_is_seeded():
    logs = []
    for _ in range(2):
        machine = Machine()
        interleave({name: machine.call(name, 0.01) for name in "abcd"}, 1.0, seed=7, clock=machine.clock)
        logs.append(machine.log)
    assert logs[0] == logs[1]


def test_short_calls_are_repeated_until_a_sample_is_long_enough():
    machine = Machine()
    sampled = interleave({"fast": machine.call("fast", 1e-6)}, 0.1, clock=machine.clock)["fast"]
    assert sampled.calls * 1e-6 >= SHORTEST_SAMPLE
    assert sampled.calls * 1e-6 < 3 * SHORTEST_SAMPLE
    assert sampled.samples == pytest.approx([1e-6] * len(sampled.samples))


def test_slow_calls_still_get_the_fewest_rounds():
    machine = Machine()
    shares = []
    sampled = interleave({"slow": machine.call("slow", 60.0)}, 0.5, on_progress=shares.append, clock=machine.clock)
    assert len(sampled["slow"].samples) == FEWEST_ROUNDS
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_no_time_at_all_is_the_fewest_rounds():
    machine = Machine()
    sampled = interleave({"a": machine.call("a", 0.01)}, 0.0, clock=machine.clock)
    assert len(sampled["a"].samples) == FEWEST_ROUNDS


def test_garbage_collection_rests_while_sampling_and_returns_even_after_an_error():
    states = []
    machine = Machine()
    work = machine.call("failing", 1.0)

    def fail():
        work()
        states.append(gc.isenabled())
        if len(states) > 3:
            raise RuntimeError

    assert gc.isenabled()
    with pytest.raises(RuntimeError):
        interleave({"failing": fail}, 1e9, clock=machine.clock)
    assert not states[-1]
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
    forward, backward, infer = passes(kernel, case, tuple(MOVED))
    assert (forward.direction, backward.direction, infer.direction) == tuple(MOVED)
    assert {each.outputs for each in (forward, backward, infer)} == {FRESH}
    y, gradients = training(kernel, case)
    assert (forward.call()[0] == y).all()
    for found, expected in zip(backward.call(), gradients, strict=True):
        assert (found == expected).all()
    expected = case.gamma[:, None] * case.x / np.sqrt(1 + case.problem.epsilon) + case.beta[:, None]
    np.testing.assert_allclose(infer.call(), expected, rtol=1e-12)
    for each in (forward, backward, infer):
        assert each.first > 0
        assert not np.shares_memory(
            *(call[0] if isinstance(call, tuple) else call for call in (each.call(), each.call()))
        )


def test_given_outputs_are_written_to_every_time(make_case):
    case = make_case("5x4x4x3")
    kernel = load_kernel("numpy")
    outputs = outputs_for(case)
    forward, backward, infer = passes(kernel, case, tuple(MOVED), outputs)
    assert {each.outputs for each in (forward, backward, infer)} == {GIVEN}
    y, gradients = training(kernel, case)
    for array in (outputs.y, *outputs.gradients):
        array.fill(np.nan)
    assert forward.call()[0] is outputs.y
    assert (outputs.y == y).all()
    assert infer.call() is outputs.y
    # Neither forward nor inference, writing where they all write, changed what backward starts from.
    assert all(found is given for found, given in zip(backward.call(), outputs.gradients, strict=True))
    for found, expected in zip(outputs.gradients, gradients, strict=True):
        assert (found == expected).all()


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
    found = passes(replace(numpy, forward=forward, backward=backward), case, outputs=outputs)
    writing_into(outputs, numpy)  # which poisons them
    assert np.isnan(outputs.y).all()
    found[1].call()


def test_a_kernel_without_inference_has_no_such_pass(make_case):
    kernel = replace(load_kernel("numpy"), infer=None)
    assert [each.direction for each in passes(kernel, make_case("5x4x4x3"), ("infer", "forward"))] == ["forward"]
