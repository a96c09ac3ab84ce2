"""The figures of planted samples."""

import numpy as np
import pytest

from bncli.benchmarking.attainable import least_passes
from bncli.benchmarking.conditions import Surroundings
from bncli.benchmarking.entries import MemoryEntry, PassEntry
from bncli.benchmarking.figures import Outcome, Rounds
from bncli.benchmarking.passes import PassKey
from bncli.benchmarking.sampling import Stop
from bncli.benchmarking.settings import Settings
from bncli.benchmarking.summary import summary
from bncli.benchmarking.timing import Sampled, Sampling
from bncli.core.problem import Problem
from planted import bench_row, typed

QUIET = Surroundings(0.0, None, None, None)


def figures(case, **samples):
    """``pass_kernel_direction_threads``, or ``memory_operation_variant_threads``: each a factor on the same noise."""
    noise = np.array([1.0, 1.01, 0.99, 1.02, 0.98, 1.0, 1.03, 0.97, 5.0])
    found = {}
    for name, factor in samples.items():
        role, kernel, direction, threads = name.split("_")
        count = int(threads) or None
        entry = (
            MemoryEntry(kernel, direction, "warm", count)
            if role == "memory"
            else PassEntry(PassKey(kernel, direction, threads=count), again=role == "again")
        )
        found[entry] = Sampled(1, tuple(factor * noise))
    return Rounds(case, [Sampling(found, Stop.STABLE, {})], QUIET, "base")


def of_pass(rounds, *key, **more):
    return rounds.with_figures(Outcome(PassKey(*key, **more), 1, bench_row(), True))


def test_passes_over_the_memory_are_what_the_limit_could_move(make_case):
    found = figures(
        make_case("5x4"), pass_base_forward_0=4.0, pass_mine_backward_0=3.0,
        memory_copy_loop_0=0.5, memory_copy_numpy_0=1.0, memory_add_numpy_0=1.5,
    )  # fmt: skip
    forward = of_pass(found, "base", "forward")
    assert forward["of_limit"] == pytest.approx(8)
    assert forward["memory_passes"] == pytest.approx(16)  # twice per time of a copy, which lasts 0.5
    assert forward["stopped"] == "stable"
    backward = of_pass(found, "mine", "backward")
    assert backward["memory_passes"] == pytest.approx(6)
    assert "speedup" not in backward  # the baseline has no such pass
    limits = found.limits()
    assert [(row["kernel"], row["way"], row["median"]) for row in limits] == [
        ("copy", "loop", 0.5),
        ("add", "numpy", 1.5),
    ]
    assert limits[0]["bandwidth"] == 2 * 20 * 8 / 0.5


@pytest.mark.parametrize(
    ("problem", "forward", "backward"),
    [
        ("64x3000/float32", 2, 3), ("2450x2048/channels-last/float32", 2, 3),  # a cache line of features: 2450 lines
        ("200704x64/channels-last/float32", 3, 5), ("8x64x32x32/channels-first/float32", 2, 3),
        ("50x64x112x112/channels-first/float32", 3, 5), ("20000x3/channels-last/float32", 2, 3),
    ],
)  # fmt: skip
def test_what_no_cache_holds_must_be_read_twice(problem, forward, backward):
    found = [least_passes(Problem.parse(problem), direction, 1 << 20) for direction in ("forward", "backward", "infer")]
    assert found == [forward, backward, 2]


def test_the_attainable_limit_is_of_three_passes_where_x_is_read_twice(make_case, monkeypatch):
    monkeypatch.setattr("bncli.benchmarking.attainable.second_level_cache", lambda: 64)
    samples = {"pass_base_forward_0": 4.0, "memory_copy_loop_0": 0.5}
    found = of_pass(figures(make_case("5x4"), **samples), "base", "forward")
    assert (found["of_limit"], found["of_attainable"]) == pytest.approx((8, 16 / 3))
    monkeypatch.setattr("bncli.benchmarking.attainable.second_level_cache", lambda: 1 << 20)
    found = of_pass(figures(make_case("5x4"), **samples), "base", "forward")
    assert (found["of_limit"], found["of_attainable"]) == pytest.approx((8, 8))


def test_a_pass_is_compared_on_as_many_threads_or_else_with_the_fastest(make_case):
    found = figures(
        make_case("5x4"), pass_base_forward_1=8.0, pass_base_forward_2=6.0, pass_mine_forward_2=2.0,
        pass_mine_forward_0=3.0, memory_copy_loop_1=1.0, memory_copy_loop_2=0.5,
    )  # fmt: skip
    on_two = of_pass(found, "mine", "forward", threads=2)
    assert (on_two["speedup"], on_two["of_limit"]) == (pytest.approx(3), pytest.approx(4))
    own_choice = of_pass(found, "mine", "forward")
    assert (own_choice["speedup"], own_choice["of_limit"]) == (pytest.approx(2), pytest.approx(6))
    assert [(row["threads"], row["median"]) for row in found.limits()] == [(1, 1.0), (2, 0.5)]


def test_the_noise_floor_is_what_the_baseline_differs_from_itself_by(make_case):
    found = figures(
        make_case("5x4"), pass_base_forward_0=1.0, pass_mine_forward_0=9.0, pass_mine_backward_0=9.0,
        again_base_forward_0=1.1, memory_copy_loop_0=1.0,
    )  # fmt: skip
    for name in ("base", "mine"):
        assert of_pass(found, name, "forward")["noise_floor"] == pytest.approx(0.1)
    assert of_pass(found, "mine", "backward")["noise_floor"] is None
    assert found.limits()[0]["noise_floor"] == pytest.approx(0.1)


def test_the_summary_races_kernels_on_as_many_threads():
    def timed(problem, name, threads, time):
        return {
            "problem": problem, "input": "", "kernel": name, "direction": "forward", "outputs": "fresh",
            "cache": "warm", "threads": threads, "samples": [time], "median": time, "of_limit": 1.0,
        }  # fmt: skip

    rows = typed(
        timed(problem, *each)
        for problem in "pq"
        for each in (("free", None, 8.0), ("bound", 1, 4.0), ("bound", 2, 2.0), ("other", 2, 1.0))
    )
    found = summary(rows, Settings()).rows
    speedups = {(row["kernel"], row["threads"]): row["speedup"] for row in found}
    # One thread is not raced against two, nor a kernel against itself.
    assert speedups == {
        ("free", None): pytest.approx(1 / 8), ("bound", 1): pytest.approx(2), ("bound", 2): pytest.approx(1 / 2),
        ("other", 2): pytest.approx(2),
    }  # fmt: skip
