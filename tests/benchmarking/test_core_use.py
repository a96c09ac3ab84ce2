"""The cores that kernels use, and what they leave running: planted figures, and the warnings that they give."""

import pytest

from bncli.benchmarking.core_use import warnings
from planted import bench_row

PROBLEM = "64x3000/per-activation/float32/eps=1e-05"
LIMIT = {"kernel": "copy", "direction": "limit"}


def row(**more):
    figures = {"samples": [1e-3], "median": 1e-3, "rounds": 100, "cores": 1.0, "children": 0.0}
    return bench_row(**{"problem": PROBLEM, "kernel": "mine", **figures, **more})


def left(forward, backward, at_once=1e-3, later=1e-3, still_busy=0.0):
    return {
        "left_after_forward": forward, "left_after_backward": backward, "left_in": 0.025,
        "still_busy": still_busy,
        "backward_at_once": at_once, "backward_later": later,
    }  # fmt: skip


def test_nothing_is_said_of_kernels_that_use_the_threads_they_were_given():
    quiet = [
        row(threads=1), row(threads=2, cores=2.0), row(cores=1.1), row(cores=None), row(kernel="numpy", cores=1.0),
        row(**LIMIT, threads=1, cores=1.9), row(**LIMIT, threads=2), row(**left(0.009, 0.008)), row(**left(5e-5, 0.0)),
        row(**left(0.16, 0.0)),  # OpenMP's threads waited actively, in vain
        row(**left(0.02, 0.02, still_busy=1.0) | {"left_in": 0.005}),  # no longer than OpenMP's
    ]  # fmt: skip
    assert warnings(quiet) == []
    assert warnings([row(cores=16.0), row(**LIMIT)]) == []  # nobody asked for a number of threads
    assert warnings([]) == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [row(threads=1, cores=1.9), row(**LIMIT, threads=1)],
            f"mine forward on {PROBLEM} used 1.9 cores with --threads 1: its set_threads does not bind them, so its "
            "time is not that of 1 thread",
        ),
        (
            [row(cores=3.8), row(**LIMIT, threads=1), row(**LIMIT, threads=2)],
            f"mine forward on {PROBLEM} used 3.8 cores with --threads 2: it has no set_threads, so its time is not "
            "that of 2 threads",
        ),
        (
            [row(children=0.8)],
            f"processes that kernels started used 0.8 cores while {PROBLEM} was timed: the cores of a kernel do not "
            "include these, and --threads does not bind them",
        ),
        (
            [row(**left(0.004, 0.0002, at_once=0.005))],
            f"mine goes on with work on {PROBLEM} after forward has returned, for 3.80 ms of CPU time, which no time "
            "of forward includes and which slows down what is timed next: time --pass step",
        ),
        (
            [row(**left(0.045, 0.044, still_busy=1.8))],
            "threads of mine use 1.8 cores for long after its calls have returned, and slow down what is timed "
            "next: let them sleep, or time it alone",
        ),
    ],
)
def test_each_fault_is_one_line_with_its_remedy(rows, said):
    assert warnings(rows) == [said]


@pytest.mark.parametrize("busy", [{"others": 0.9}, {"others": 0.0, "stolen": 0.3}])
def test_of_a_busy_machine_it_is_not_said_what_a_call_leaves_running(busy):
    late, spinning = left(0.004, 0.0002, at_once=0.005), left(0.045, 0.044, still_busy=1.8)
    for each in (late, spinning):
        assert len(warnings([row(**each, others=0.1, stolen=0.0)], cores=2)) == 1
        assert warnings([row(**each, **busy)], cores=2) == []
    assert len(warnings([row(**late, others=0.9)], cores=64)) == 1
