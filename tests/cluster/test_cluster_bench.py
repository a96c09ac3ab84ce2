"""bench on Dask workers: what is timed, what is printed, and where the time goes."""

import json
import os
import re
import sys
from contextlib import closing, nullcontext
from dataclasses import replace

import numpy as np
import pytest

from bncli.benchmarking.sampling import Stop
from bncli.benchmarking.timing import FEWEST_ROUNDS, Sampling
from bncli.cluster import worker_timing
from bncli.errors import Unavailable
from bncli.isolation.process import Process
from bncli.kernels.dask.in_memory import InMemory
from bncli.kernels.dask.runners import Workers
from bncli.loading.registry import load_kernel
from cluster_runs import PROBLEM, cli

pytest.importorskip("distributed")
pytest.importorskip("zarr")
cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers cannot import the tests


@pytest.fixture
def _bench_on_it(cluster, monkeypatch):
    """bench starts no cluster of its own, but takes this one, whatever it asks for."""
    monkeypatch.setattr(worker_timing, "session", lambda wanted, dtype: nullcontext(cluster))


@pytest.mark.slow
@pytest.mark.usefixtures("_bench_on_it")
def test_bench_times_workers_whose_bits_are_right_and_says_where_the_time_goes(case):
    rows = worker_timing.measure(case, [load_kernel("numba"), load_kernel("dask")], (1, 2), max_time=0.1)
    assert [(row["workers"], row["direction"], row["verdict"]) for row in rows] == [
        (count, direction, "PASS") for direction in ("forward", "backward") for count in (1, 2)
    ]
    for row in rows:
        assert len(row["samples"]) == row["rounds"] >= FEWEST_ROUNDS
        assert row["compute"] > 0
        assert row["compute"] + row["transfer"] + row["scheduling"] == pytest.approx(1)
        assert row["efficiency"] == row["speedup"] / row["workers"]
    assert rows[0]["speedup"] == 1


@pytest.mark.slow
@pytest.mark.usefixtures("_bench_on_it")
def test_what_the_first_kernel_prints_while_workers_run_stays_out_of_the_data(case, capfd):
    own = load_kernel("numpy")

    def forward(*given, **options):
        sys.stdout.write("printed\n")
        os.write(1, b"written\n")
        return own.forward(*given, **options)

    worker_timing.measure(case, [replace(own, forward=forward), load_kernel("dask")], (2,), max_time=0)
    out, err = capfd.readouterr()
    assert out == ""
    assert "printed" in err
    assert "written" in err


@pytest.mark.slow
@pytest.mark.usefixtures("_bench_on_it")
@pytest.mark.parametrize(
    ("sampling", "raised"),
    [
        (Sampling({}, Stop.INTERRUPTED, {}), KeyboardInterrupt),
        (Sampling({}, Stop.TIME, {1: type("CommClosedError", (OSError,), {})()}), Unavailable),
    ],
)
def test_bench_on_workers_ends_with_ctrl_c_and_with_what_a_call_raises(case, monkeypatch, sampling, raised):
    monkeypatch.setattr(worker_timing, "interleave", lambda timed, rule: sampling)
    with pytest.raises(raised):
        worker_timing.measure(case, [load_kernel("dask")], (2,), max_time=0)


@pytest.fixture
def _other_bits(monkeypatch):
    right = InMemory.gathered
    monkeypatch.setattr(InMemory, "gathered", lambda self: np.nextafter(right(self), np.float32(0)))


@pytest.mark.slow
@pytest.mark.usefixtures("_bench_on_it", "_other_bits")
def test_bench_gives_no_time_to_other_bits(case):
    rows = worker_timing.measure(case, [load_kernel("dask")], (2,), max_time=0)
    assert {row["verdict"] for row in rows} == {"WRONG"}
    assert not any("median" in row for row in rows)


BENCH = ("bench", "--kernel", "numpy", "--kernel", "dask", "--shape", str(PROBLEM), "--max-time", "0")
GATE = ("--fail-slower", "1e9")  # which no time shuts


@pytest.mark.slow
@pytest.mark.usefixtures("_bench_on_it", "_other_bits")
def test_workers_that_are_wrong_shut_the_gate():
    assert cli(*BENCH, "--workers", "2").exit_code == 0
    done = cli(*BENCH, "--workers", "2", *GATE)
    assert done.exit_code == 1
    nothing = f"of {PROBLEM} has no time: it is WRONG"
    assert done.stderr.splitlines()[-1] == (
        f"bncli: dask, 2 workers forward {nothing}; dask, 2 workers backward {nothing}"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("_bench_on_it")
def test_bench_prints_the_workers_below_its_own_times_and_saves_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli(*BENCH, *GATE, "--workers", "1,2", "--export", "out.json")
    assert done.exit_code == 0, done.stderr
    assert re.search(r"workers +pass +bits +median +± +speed-up +effic\. .* vs numpy", done.stdout)
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert {row["kernel"] for row in rows} == {"numpy", "dask", "copy", "add", "dask, 1 worker", "dask, 2 workers"}
    on_workers = [row for row in rows if row.get("workers")]
    assert [(row["workers"], row["direction"], row["verdict"]) for row in on_workers] == [
        (count, direction, "PASS") for direction in ("forward", "backward") for count in (1, 2)
    ]


@pytest.mark.compiled
@pytest.mark.slow
@pytest.mark.usefixtures("_bench_on_it")
def test_isolated_kernels_are_computed_and_timed_in_their_own_processes(case, tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text(SLOW)
    monkeypatch.setenv("PAUSE", "0")
    done = cli("bench", "--kernel", tmp_path / "slow.py", *BENCH[3:], "--workers", "1", "--isolate")
    assert done.exit_code == 0, done.stderr
    assert re.search(r"workers +pass +bits .* vs slow", done.stdout)
    monkeypatch.setenv("PAUSE", "0.5")
    with closing(Process(str(tmp_path / "slow.py"))) as slow, closing(Process("dask")) as own:
        forward, backward = worker_timing.measure(case, [slow.load(), own.load()], (1,), max_time=0)
    assert (forward["verdict"], backward["verdict"]) == ("PASS", "PASS")
    # Of each call, and not of the forward pass that a backward pass needs first.
    assert forward["versus"] > 1 > backward["versus"]


SLOW = """
import os
import time

from bncli.kernels.numpy import KERNEL as right

backward, home = right.backward, os.getpid()


def forward(x, gamma, beta, epsilon):
    assert home != PID
    time.sleep(float(os.environ["PAUSE"]))
    return right.forward(x, gamma, beta, epsilon)
""".replace("PID", str(os.getpid()))


@pytest.mark.slow
def test_a_task_that_fails_on_a_worker_fails_what_waits_for_it(cluster, case):
    runner = Workers(cluster.client, case.problem.features)
    outs = runner.placed([[1] * 4] * 2)
    with pytest.raises(ZeroDivisionError):
        runner.fill(divide, outs, [[[1] * 4] * 2, [[1] * 4, [0] * 4]], ())


def divide(a, b, out):
    return a / b


def test_the_task_stream_is_split_into_computing_moving_and_the_rest():
    steps = [("transfer", 1.0, 1.5), ("compute", 1.5, 3.0), ("disk-read", 0, 9)]
    records = [{"startstops": [{"action": action, "start": start, "stop": stop} for action, start, stop in steps]}] * 2
    assert worker_timing.shares_of(records, seconds=4.0) == (0.75, 0.25, 0.0)
