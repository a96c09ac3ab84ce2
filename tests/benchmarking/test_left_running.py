"""What a forward leaves running, on a machine whose clocks are replayed: what its threads do, and others."""

import threading
from dataclasses import replace

import pytest

from bncli.benchmarking import conditions, left_running, measuring
from bncli.benchmarking.bench import report
from bncli.benchmarking.conditions import UNKNOWN, Readings
from bncli.benchmarking.core_use import warnings
from bncli.benchmarking.ready import Ready
from bncli.core.kernel import Prepared
from planted import bench_row
from short_runs import SHORT, kernel

ROW = {"problem": "64x3000/per-activation/float32/eps=1e-05", "kernel": "mine", "samples": [1e-3], "median": 1e-3}


class Machine:
    """Its seconds and the process's CPU seconds; ``late`` are those of work that a thread is to do.

    After each call another thread spins until ``spins`` seconds later. ``others`` are the CPU seconds of other
    processes.
    """

    def __init__(self):
        self.now = self.cpu = self.late = self.spins = self.until = self.others = 0.0
        self.calls = []

    def sleep(self, seconds):
        done = min(seconds, self.late)
        self.late -= done
        self.cpu += done + max(0.0, min(self.until, self.now + seconds) - self.now)
        self.now += seconds

    def call(self, name, seconds):
        self.calls.append(name)
        self.now, self.cpu = self.now + seconds, self.cpu + seconds
        self.until = self.now + self.spins

    def read(self):
        return Readings(self.now, self.cpu + self.others, self.cpu, 0.0, None, None)


@pytest.fixture
def machine(monkeypatch):
    found = Machine()
    monkeypatch.setattr(left_running, "perf_counter", lambda: found.now)
    monkeypatch.setattr(left_running, "process_time", lambda: found.cpu)
    monkeypatch.setattr(left_running, "sleep", found.sleep)
    monkeypatch.setattr(conditions, "read", found.read)
    monkeypatch.setattr(conditions, "own_cores", lambda: [0, 1])
    monkeypatch.setattr(conditions.cgroup, "quota", lambda: None)
    return found


def made(machine, put_off=0.0, disturbed=0.0):
    """A backward whose forward puts off so many seconds of work, and during which others use so many."""

    def backward():
        machine.call("backward", machine.late + 2e-3)  # it waits for the thread
        machine.late = 0.0

    def make():
        machine.call("forward", 1e-3)
        machine.late, machine.others = machine.late + put_off, machine.others + disturbed
        return Ready(Prepared(backward, None))

    return make


def said(found):
    return warnings([bench_row(**ROW, rounds=100, cores=1.0, children=0.0, **found)], cores=2)


def test_work_that_forward_puts_off_is_named(machine):
    (line,) = said(left_running.measure(made(machine, put_off=4e-3), 2.0, 1))
    assert line.startswith("mine goes on with work on 64x3000")
    assert "for 4.00 ms of CPU time" in line


def test_of_a_kernel_that_leaves_nothing_nothing_is_said(machine):
    assert said(left_running.measure(made(machine), 2.0, 1)) == []


def test_threads_that_spin_for_longer_than_those_of_openmp_are_named(machine):
    machine.spins = 0.1
    (line,) = said(left_running.measure(made(machine), 2.0, 1))
    assert line.startswith("threads of mine use 1.0 cores for long after its calls have returned")
    machine.spins = 0.01
    assert said(left_running.measure(made(machine), 2.0, 1)) == []


@pytest.mark.parametrize(("used", "known"), [(0.0, True), (0.005, True), (0.03, False)])
def test_what_other_processes_may_have_delayed_is_not_known(machine, used, known):
    found = left_running.measure(made(machine, put_off=4e-3, disturbed=used), 2.0, 1)
    assert (found is not None) is known


def test_a_short_time_is_not_taken_for_a_disturbed_one(machine):
    """The system counts the CPU time of others in steps of 10 ms, which is more than such a pause."""
    assert left_running.measure(made(machine, disturbed=2e-3), 0.05, 1) is not None


def test_pauses_are_a_small_share_of_the_time(machine):
    assert left_running.measure(made(machine), 0.0, 1) is None
    assert left_running.measure(made(machine), 1.0, 30) is None
    assert machine.calls == []
    found = left_running.measure(made(machine), 0.08, 2)
    assert machine.calls == ["forward", "backward"] * 4
    assert found.left_in == pytest.approx(0.001)


def test_a_real_thread_is_seen():
    """A pause in which it had no core is repeated."""
    done = threading.Event()

    def spin():
        while not done.is_set():
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        assert any(left_running._used(0.025)[0] > 1e-3 for _ in range(200))
    finally:
        done.set()
        thread.join()


def test_the_warning_reaches_the_report(make_case, monkeypatch, machine):
    found = left_running.measure(made(machine, put_off=4e-3), 2.0, 1)
    monkeypatch.setattr(measuring.left_running, "measure", lambda *given: found)
    monkeypatch.setattr(conditions, "between", lambda before, after: UNKNOWN)
    lines = report([(make_case("5x4"), "")], [kernel()], replace(SHORT, max_time=0.0)).warnings
    assert any(line.startswith("mine goes on with work on 5x4") for line in lines)
