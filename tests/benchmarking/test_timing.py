"""Samples: their turns, their order and their length, on a clock that only the calls move."""

import pytest

from bncli.benchmarking.sampling import Rule, Stop
from bncli.benchmarking.timing import (
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
from planted_clock import Machine, alone, sampled


def test_the_first_call_is_timed_separately():
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
