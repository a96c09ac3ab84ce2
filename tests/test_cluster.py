"""forward and backward by blocks on Dask workers: the bits of one process, whatever the cluster goes through."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

from bncli.benchmarking.sampling import Stop
from bncli.benchmarking.timing import FEWEST_ROUNDS, Sampling
from bncli.cli import main
from bncli.cluster import by_blocks, outputs, worker, worker_timing
from bncli.cluster.batches import in_blocks
from bncli.cluster.resident import Resident, spent
from bncli.cluster.session import Wanted, require_memory, session
from bncli.cluster.stored import Stored
from bncli.core.case import complete
from bncli.core.kernel import Gradients
from bncli.core.problem import Problem
from bncli.core.source import Lazy, Request
from bncli.errors import InputError, Unavailable
from bncli.inputs import array
from bncli.loading.registry import load_kernel

distributed = pytest.importorskip("distributed")
zarr = pytest.importorskip("zarr")
cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers cannot import the tests

PROBLEM = Problem.parse("37x6x5x4/channels-first/float32/eps=1e-05")  # 8 blocks: the tree has two levels
LIMIT = 512 << 20


@pytest.fixture(scope="module")
def cluster():
    with session(Wanted(workers=2, memory_limit=LIMIT), "float32") as found:
        yield found


@pytest.fixture(scope="module")
def case():
    x, dy = np.random.default_rng(1).normal(3, 2, (2, *PROBLEM.shape)).astype(PROBLEM.dtype)
    return complete(PROBLEM, {"x": x, "dy": dy}, seed=5)


@pytest.fixture(scope="module")
def alone(case):
    """What the kernel gives in this process."""
    kernel = load_kernel("dask")
    y, saved = kernel.forward(case.x, case.gamma, case.beta, PROBLEM.epsilon)
    return {"y": y, **saved._asdict(), **Gradients(*kernel.backward(case.dy, saved))._asdict()}


@pytest.fixture
def group(case, tmp_path):
    """A Zarr group of x and dy."""
    found = zarr.open_group(str(tmp_path / "in.zarr"), mode="w")
    for name in ("x", "dy"):
        found.create_array(name, data=PROBLEM.own(getattr(case, name)), chunks=(1, 6, 5, 4))
    return tmp_path / "in.zarr"


def lazy_of(path):
    return array.SOURCE.lazy(Request((str(path),), layout=PROBLEM.layout, epsilon=PROBLEM.epsilon))


def silent(share, doing):
    pass


def run(function, cluster, lazy, save, name="y"):
    batch = in_blocks(lazy, seed=5)
    with outputs.opened(save, name, batch.problem, batch.cuts) as output:
        found = function(Stored(cluster, batch, output, silent))
        output.arrays({key: value for key, value in found.items() if isinstance(value, np.ndarray)})
    return found


@pytest.mark.slow
def test_two_workers_give_the_bits_of_one_process(cluster, group, alone, tmp_path):
    seen = []
    batch = in_blocks(lazy_of(group), seed=5)
    assert len(batch.cuts) > 4
    with outputs.opened(tmp_path / "y.npy", "y", PROBLEM, batch.cuts) as output:
        Stored(cluster, batch, output, lambda share, doing: seen.append((share, doing))).forward()
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), PROBLEM.own(alone["y"]))
    assert [share for share, doing in seen if doing.startswith("y:")][-1] == 1
    run(Stored.backward, cluster, lazy_of(group), tmp_path / "dx.zarr", "dx")
    written = zarr.open_group(str(tmp_path / "dx.zarr"), mode="r")
    for name in ("dx", "dgamma", "dbeta", "mean", "var", "inv_std"):
        np.testing.assert_array_equal(written[name][...], PROBLEM.own(alone[name]), name)


@pytest.mark.slow
def test_the_summaries_are_those_of_the_arrays(cluster, group, alone, case):
    found = run(Stored.backward, cluster, lazy_of(group), None, "dx")
    found |= run(Stored.forward, cluster, lazy_of(group), None)
    x_hat = (case.x - alone["mean"][:, None]) * alone["inv_std"][:, None]
    for name, whole in {"x": case.x, "dy": case.dy, "y": alone["y"], "dx": alone["dx"], "x_hat": x_hat}.items():
        least, most, (samples, mean, squares) = found[name]
        axes = (0, 2) if name == "x_hat" else None
        assert (least, most) == pytest.approx((whole.min(), whole.max()), rel=1e-6)
        np.testing.assert_allclose(mean, np.mean(whole, axes, dtype=float), rtol=0, atol=1e-6)
        np.testing.assert_allclose(squares / samples, np.var(whole, axes, dtype=float), rtol=1e-5)


@pytest.mark.slow
def test_inference_uses_the_given_statistics(cluster, group, case, tmp_path):
    held = zarr.open_group(str(group), mode="a")
    mean, var = np.random.default_rng(2).uniform(1, 2, (2, PROBLEM.features))
    for name, value in {"mean": mean, "var": var}.items():
        held.create_array(name, data=value)
    run(Stored.infer, cluster, lazy_of(group), tmp_path / "y.npy")
    expected = load_kernel("dask").infer(case.x, case.gamma, case.beta, mean, var, PROBLEM.epsilon)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), PROBLEM.own(expected))


@pytest.mark.slow
def test_inference_gives_the_bits_of_one_process_in_float64_too(cluster, tmp_path):
    held = zarr.open_group(str(tmp_path / "in.zarr"), mode="w")
    rng = np.random.default_rng(2)
    arrays = {"x": rng.normal(3, 2, (300, 70)), **dict(zip(("mean", "var"), rng.uniform(1, 2, (2, 70)), strict=True))}
    for name, value in arrays.items():
        held.create_array(name, data=value)
    lazy = array.SOURCE.lazy(Request((str(tmp_path / "in.zarr"),)))
    run(Stored.infer, cluster, lazy, tmp_path / "y.npy")
    case = complete(lazy.problem, arrays, seed=5)
    expected = load_kernel("dask").infer(case.x, case.gamma, case.beta, case.mean, case.var, case.problem.epsilon)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), case.problem.own(expected))


@pytest.mark.slow
def test_a_dy_that_is_drawn_by_blocks_is_seeded_and_shows_every_term(cluster, case, tmp_path):
    np.save(tmp_path / "x.npy", PROBLEM.own(case.x))
    first, again = (run(Stored.backward, cluster, lazy_of(tmp_path / "x.npy"), None, "dx") for _ in range(2))
    np.testing.assert_array_equal(first["dgamma"], again["dgamma"])
    assert first["dy"].least == again["dy"].least
    # As in a batch in memory, the multiples of 1 and of x_hat are between 0.5 and 1.5: no term of dx is lost.
    for name in ("dgamma", "dbeta"):
        assert (np.abs(first[name]) / PROBLEM.samples > 0.3).all()


@pytest.mark.slow
def test_the_kernel_takes_arrays_to_the_cluster_and_back(cluster, case, alone):
    kernel = load_kernel("dask")
    with cluster.client.as_current(), distributed.get_task_stream(cluster.client) as stream:
        y, saved = kernel.forward(case.x, case.gamma, case.beta, PROBLEM.epsilon)
        found = {"y": y, **saved._asdict(), **Gradients(*kernel.backward(case.dy, saved))._asdict()}
        inferred = kernel.infer(case.x, case.gamma, case.beta, saved.mean, saved.var, PROBLEM.epsilon)
    for name, value in alone.items():
        np.testing.assert_array_equal(found[name], value, name)
    np.testing.assert_array_equal(inferred, y)
    assert {record["worker"] for record in stream.data} == set(cluster.client.nthreads())


@pytest.mark.slow
def test_a_session_leaves_the_kernel_to_this_process(cluster, case, alone):
    with distributed.get_task_stream(cluster.client) as stream:
        y, _ = load_kernel("dask").forward(case.x, case.gamma, case.beta, PROBLEM.epsilon)
    np.testing.assert_array_equal(y, alone["y"])
    assert not stream.data


@pytest.mark.slow
def test_nothing_of_a_run_listens_beyond_this_machine(cluster):
    """Whoever reaches one of these sockets can run code in its process."""
    own = psutil.Process()
    run = {process.pid for process in (own, *own.children(recursive=True))}
    sockets = [socket for socket in psutil.net_connections("inet") if socket.pid in run]
    listening = {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    assert cluster.client.scheduler.address.startswith("tcp://127.0.0.1:")


class Deadly:
    """Rows whose second block kills the worker that reads it: ``lives`` times, or always."""

    step = 1

    def __init__(self, rows, folder, lives):
        self.rows, self.shape, self.folder, self.lives = rows, rows.shape, folder, lives

    def part(self, first, last):
        read = self.rows.part(first, last)
        return partial(read_or_die, read, str(self.folder), self.lives) if first == 5 else read


def read_or_die(read, folder, lives):
    dead = len(os.listdir(folder))
    if lives is None or dead < lives:
        Path(folder, str(dead)).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return read()


def deadly(group, folder, lives):
    folder.mkdir()
    lazy = lazy_of(group)
    return Lazy(lazy.problem, {**lazy.batches, "x": Deadly(lazy.batches["x"], folder, lives)}, lazy.arrays)


@pytest.mark.slow
def test_a_worker_that_is_killed_changes_no_bit(cluster, group, alone, tmp_path):
    before = {facts["pid"] for facts in cluster.workers.values()}
    lazy = deadly(group, tmp_path / "graves", lives=1)
    run(Stored.backward, cluster, lazy, tmp_path / "dx.npy", "dx")
    assert len(list((tmp_path / "graves").iterdir())) == 1
    cluster.client.wait_for_workers(2, timeout=150)
    assert before != set(cluster.client.run(os.getpid).values())
    np.testing.assert_array_equal(np.load(tmp_path / "dx.npy"), PROBLEM.own(alone["dx"]))


@pytest.mark.slow
def test_a_block_that_kills_every_worker_is_an_error_and_harms_no_file(cluster, group, tmp_path):
    (tmp_path / "y.npy").write_text("what was there")
    cluster.client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
    with pytest.raises(Unavailable) as raised:
        run(Stored.forward, cluster, deadly(group, tmp_path / "graves", lives=None), tmp_path / "y.npy")
    assert str(raised.value) == (
        "workers died again and again on the same block: out of memory, or above the limit of 512 MiB? "
        "nothing was written"
    )
    assert (tmp_path / "y.npy").read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graves", "in.zarr", "y.npy"]
    cluster.client.wait_for_workers(2, timeout=150)


@pytest.mark.slow
def test_what_a_block_cannot_be_read_for_is_the_error(cluster, tmp_path):
    np.save(tmp_path / "x.npy", np.where(np.arange(120).reshape(40, 3) == 70, 1e300, 1.0))
    lazy = array.SOURCE.lazy(Request((str(tmp_path / "x.npy"),), dtype="float32"))
    with pytest.raises(InputError, match=r"x holds 1e\+300, too large for float32"):
        run(Stored.forward, cluster, lazy, tmp_path / "y.npy")
    assert not (tmp_path / "y.npy").exists()


@pytest.fixture
def _bench_on_it(cluster, monkeypatch):
    """bench starts no cluster of its own, but takes this one, whatever it asks for."""
    monkeypatch.setattr(worker_timing, "session", lambda wanted, dtype: nullcontext(cluster))


@pytest.mark.slow
@pytest.mark.usefixtures("_bench_on_it")
def test_bench_times_workers_whose_bits_are_right_and_says_where_the_time_goes(case):
    rows = worker_timing.measure(case, [load_kernel("numba"), load_kernel("dask")], (1, 2), None, max_time=0.1)
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
def test_what_the_first_kernel_prints_beside_workers_stays_out_of_the_data(case, capfd):
    own = load_kernel("numpy")

    def forward(*given, **options):
        sys.stdout.write("printed\n")
        os.write(1, b"written\n")
        return own.forward(*given, **options)

    worker_timing.measure(case, [replace(own, forward=forward), load_kernel("dask")], (2,), None, max_time=0)
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
        worker_timing.measure(case, [load_kernel("dask")], (2,), None, max_time=0)


@pytest.fixture
def _other_bits(monkeypatch):
    right = Resident.gathered
    monkeypatch.setattr(Resident, "gathered", lambda self, parts: np.nextafter(right(self, parts), np.float32(0)))


@pytest.mark.slow
@pytest.mark.usefixtures("_bench_on_it", "_other_bits")
def test_bench_gives_no_time_to_other_bits(case):
    rows = worker_timing.measure(case, [load_kernel("dask")], (2,), None, max_time=0)
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
    nothing = f"of {PROBLEM} has no time to be judged by: it is WRONG"
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
def test_isolated_kernels_are_computed_and_timed_in_their_own_processes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slow.py").write_text(SLOW)
    command = ("bench", "--kernel", "slow.py", *BENCH[3:], "--workers", "1", "--isolate", "--export", "out.json")
    done = cli(*command)
    assert done.exit_code == 0, done.stderr
    assert re.search(r"workers +pass +bits .* vs slow", done.stdout)
    rows = {
        row["direction"]: row for row in json.loads((tmp_path / "out.json").read_text())["rows"] if "workers" in row
    }
    assert {direction: row["verdict"] for direction, row in rows.items()} == dict.fromkeys(rows, "PASS")
    # Of each call, and not of the forward pass that a backward pass needs first.
    assert rows["forward"]["versus"] > 1 > rows["backward"]["versus"]


SLOW = """
import os
import time

from bncli.kernels.numpy import KERNEL as right

backward, home = right.backward, os.getpid()


def forward(x, gamma, beta, epsilon):
    assert home != PID
    time.sleep(0.5)
    return right.forward(x, gamma, beta, epsilon)
""".replace("PID", str(os.getpid()))


@pytest.mark.slow
def test_a_task_that_fails_on_a_worker_fails_what_waits_for_it(cluster, case):
    with pytest.raises(ZeroDivisionError):
        Resident(cluster.client, case).deliver(divide, (1, 1), (1, 0), shared=())


def divide(a, b):
    return a / b


def test_the_task_stream_is_told_apart_into_computing_moving_and_the_rest():
    steps = [("transfer", 1.0, 1.5), ("compute", 1.5, 3.0), ("disk-read", 0, 9)]
    records = [{"startstops": [{"action": action, "start": start, "stop": stop} for action, start, stop in steps]}] * 2
    found = spent(records, seconds=2.0, workers=2)
    assert (found.compute, found.transfer, found.scheduling) == (0.75, 0.25, 0.0)


def cli(*words):
    return CliRunner().invoke(main, list(map(str, words)), env={"COLUMNS": "200"})


@pytest.mark.slow
def test_the_command_line_uses_a_cluster_that_is_running(cluster, group, alone, tmp_path):
    words = ("--kernel", "dask", "--array", group, "--layout", "channels-first", "--epsilon", "1e-5", "--seed", "5")
    address = cluster.client.scheduler.address
    done = cli("forward", *words, "--scheduler", address, "--save", tmp_path / "y.zarr", "--format", "json")
    assert (done.exit_code, done.stderr) == (0, "")
    np.testing.assert_array_equal(zarr.open(str(tmp_path / "y.zarr"))["y"][...], PROBLEM.own(alone["y"]))
    rows = {row["array"]: row for row in json.loads(done.stdout)["rows"]}
    assert list(rows) == ["x", "x_hat", "y"]
    expected = {row["array"]: row for row in json.loads(cli("forward", *words, "--format", "json").stdout)["rows"]}
    for name, row in rows.items():
        for key in ("problem", "input", "mode", "kernel", "shape", "dtype"):
            assert row[key] == expected[name][key]
        assert (row["min"], row["max"]) == pytest.approx((expected[name]["min"], expected[name]["max"]), rel=1e-6)
        assert (row["mean"], row["std"]) == pytest.approx((expected[name]["mean"], expected[name]["std"]), abs=1e-6)
    assert rows["x"]["peak_memory"] >= rows["x"]["base_memory"] > 0
    assert cluster.client.run(os.getpid)  # it is still there


def test_backward_of_a_cluster_shows_and_saves_what_one_process_does(cluster, group, alone, tmp_path):
    words = ("--kernel", "dask", "--array", group, "--layout", "channels-first", "--epsilon", "1e-5", "--seed", "5")
    address = cluster.client.scheduler.address
    done = cli("backward", *words, "--scheduler", address, "--save", tmp_path / "dx.npy", "--format", "json")
    assert (done.exit_code, done.stderr) == (0, "")
    np.testing.assert_array_equal(np.load(tmp_path / "dx.npy"), PROBLEM.own(alone["dx"]))
    rows = {row["array"]: row for row in json.loads(done.stdout)["rows"]}
    expected = {row["array"]: row for row in json.loads(cli("backward", *words, "--format", "json").stdout)["rows"]}
    assert list(rows) == ["x", "dy", "gamma", "beta", "dx", "dgamma", "dbeta"]
    for name, row in rows.items():
        assert row["shape"] == expected[name]["shape"]
        for figure in ("min", "max", "mean", "std"):
            assert row[figure] == pytest.approx(expected[name][figure], rel=1e-5, abs=1e-6), (name, figure)


@pytest.mark.slow
def test_the_dashboard_and_the_dead_are_told_of(cluster, group, monkeypatch):
    threads = {**cluster.client.nthreads(), "tcp://127.0.0.1:1": 1}  # one that is not there any more
    changed = replace(cluster, dashboard="http://127.0.0.1:1/status", threads=threads, warnings=[])
    monkeypatch.setattr(by_blocks, "session", lambda wanted, dtype: nullcontext(changed))
    done = cli("forward", "--kernel", "dask", "--array", group, "--workers", "3", "--memory-limit", "512MiB")
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        "dashboard: http://127.0.0.1:1/status",
        "warning: 1 worker died on the way; others did the blocks again",
    ]


@pytest.mark.slow
def test_data_that_deserve_a_warning_get_it_by_blocks_too(cluster, tmp_path):
    words = ("forward", "--kernel", "dask", "--scheduler", cluster.client.scheduler.address, "--array")
    np.save(tmp_path / "nan.npy", np.where(np.arange(60).reshape(20, 3) == 41, np.nan, 1.0))
    np.save(tmp_path / "one.npy", np.ones((1, 3)))
    assert (
        "20x3/per-activation/float64/eps=1e-08: values of x are NaN or infinite"
        in cli(*words, tmp_path / "nan.npy").stderr
    )
    assert "one sample per feature has nothing to normalise" in cli(*words, tmp_path / "one.npy").stderr


@pytest.mark.slow
def test_versions_that_differ_are_said(cluster, group, monkeypatch):
    own = worker.versions()
    monkeypatch.setattr(worker, "versions", lambda: {**own, "numba": "0.1", "dask": "0.2"})
    address = cluster.client.scheduler.address
    done = cli("forward", "--kernel", "dask", "--array", group, "--scheduler", address)
    assert done.exit_code == 0
    said = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert any(line.startswith(f"warning: numba is 0.1 here and {own['numba']} at tcp://") for line in said), said
    assert any(f"dask is 0.2 here and {own['dask']} at the scheduler" in line for line in said), said


@pytest.mark.slow
def test_a_memory_limit_that_cannot_do_is_said_before_any_block(cluster):
    require_memory(cluster, 1 << 20)
    with pytest.raises(InputError, match=r"--memory-limit 512 MiB is not enough: a worker takes .* and up to 1.00 GiB"):
        require_memory(cluster, 1 << 30)


def test_bench_on_workers_needs_the_kernel_that_they_run():
    done = cli("bench", "--kernel", "numpy", "--shape", "4x3", "--workers", "1,2", "--max-time", "0")
    assert (done.exit_code, done.stderr) == (2, "bncli: error: --workers times the kernel dask: add --kernel dask\n")
    assert (
        cli("bench", "--workers", "1,").stderr.count("'1,' is no number of workers, nor several: write 2, or 1,2,4")
        == 1
    )


REFUSED = {
    (
        "--array",
        "x.npy",
        "--workers",
        "1",
    ): "a cluster runs the kernel dask alone, not numpy and numba: add --kernel dask",
    (
        "--kernel",
        "dask",
        "--workers",
        "1",
    ): "--random is not read by blocks: store the batch, and give --array or --image",
    ("--kernel", "dask", "--array", "x.npy", "--workers", "1", "--save", "y.npz"): (
        "--save 'y.npz' is written by blocks as .npy or .zarr: give it one of these suffixes"
    ),
    ("--kernel", "dask", "--array", "half.npy", "--workers", "1"): (
        "kernel 'dask' does not take float16: use --dtype float32 or float64"
    ),
    ("--kernel", "dask", "--array", "x.npy", "--workers", "1", "--mode", "infer"): (
        "inference needs mean and var: give --array with a Zarr group that holds them"
    ),
    ("--kernel", "dask", "--array", "x.npy", "--workers", "1", "--scheduler", "tcp://127.0.0.1:1"): (
        "--scheduler names a cluster that is running: leave out --workers and --memory-limit"
    ),
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_done_by_blocks_is_refused_before_any_worker_starts(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.ones((4, 3)))
    np.save("half.npy", np.ones((4, 3), np.float16))
    done = cli("forward", *words)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"bncli: error: {REFUSED[words]}\n")


@pytest.mark.parametrize(
    ("written", "size"),
    [("1000", 1000), ("256MiB", 256 << 20), ("256M", 256 << 20), ("1.5GiB", 3 << 29), ("2KB", 2048), ("1T", 1 << 40)],
)
def test_a_size_is_written_with_its_unit(written, size, monkeypatch, tmp_path):
    def refuse(wanted, dtype):
        raise InputError(f"asked for {wanted.memory_limit} bytes")

    monkeypatch.setattr(by_blocks, "session", refuse)
    np.save(tmp_path / "x.npy", np.ones((4, 3)))
    done = cli("forward", "--kernel", "dask", "--array", tmp_path / "x.npy", "--memory-limit", written)
    assert done.stderr == f"bncli: error: asked for {size} bytes\n"


@pytest.mark.parametrize("written", ["256MiBs", "-1", "0", "0.0G", "M", "1e9", "MiB256", "\u0661MiB"])
def test_what_is_no_size_is_said(written):
    done = cli("forward", "--kernel", "dask", "--memory-limit", written)
    assert done.exit_code == 2
    assert f"{written!r} is no size in bytes: write it as 256MiB" in done.stderr


def test_update_is_refused_by_blocks():
    done = cli("backward", "--kernel", "dask", "--update", "--workers", "1")
    assert done.exit_code == 2
    assert "--update needs the batch in memory" in done.stderr


def test_a_scheduler_that_is_not_there_is_exit_3(monkeypatch, tmp_path):
    monkeypatch.setattr("bncli.cluster.session.PATIENCE", 0.2)
    np.save(tmp_path / "x.npy", np.ones((4, 3)))
    done = cli("forward", "--kernel", "dask", "--array", tmp_path / "x.npy", "--scheduler", "tcp://127.0.0.1:1")
    assert done.exit_code == 3
    assert done.stderr.startswith("bncli: error: no Dask scheduler with workers answers at 'tcp://127.0.0.1:1': start")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends Ctrl-C as a terminal of Unix does")
def test_ctrl_c_closes_everything_and_leaves_nothing(tmp_path):
    with (tmp_path / "x.npy").open("wb") as file:
        shape = (1 << 16, 1 << 16)
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + 4 * shape[0] * shape[1])  # more than can be done meanwhile
    words = ("forward", "--kernel", "dask", "--array", "x.npy", "--workers", "2", "--save", "y.npy")
    command = subprocess.Popen(
        [sys.executable, "-m", "bncli", *words],
        cwd=tmp_path, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob(".y.npy.*"))) == 0 and time.monotonic() < deadline:
        time.sleep(0.02)  # until the work on blocks has begun
    children = psutil.Process(command.pid).children(recursive=True)
    assert len(children) >= 2
    os.killpg(command.pid, signal.SIGINT)  # a terminal sends it to the workers, too
    out, err = command.communicate(timeout=150)
    assert (command.returncode, out, err.strip()) == (130, "", "bncli: interrupted")
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]
